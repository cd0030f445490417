//! `/messaging/v1/Services/{ServiceSid}/PhoneNumbers`, `…/ShortCodes` and `…/AlphaSenders`: the sender pool of a messaging
//! service.
//!
//! A number or a short code is one of IncomingPhoneNumbers, in at most one pool. A short code's SID is that of its number
//! with the prefix `SC`.

use routing::{
    Address, AlphaSender, AlphaSenderSid, MessagingServiceSid, NumberSid, PoolNumber, ShortCodeSid,
};
use serde_json::{Value, json};
use service::{add_alpha_sender, add_pool_number, remove_alpha_sender, remove_pool_number};

use crate::codes;
use crate::messaging_services::{PAGE_SIZES, service_of, service_url};
use crate::paging::{Fitting, List, Paging};
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::{date, phone};

/// What sets the two lists of numbers apart.
#[derive(Clone, Copy)]
struct Kind {
    short_codes: bool,
    path: &'static str,
    key: &'static str,
    sid_parameter: &'static str,
    address_field: &'static str,
}

const PHONE_NUMBERS: Kind = Kind {
    short_codes: false,
    path: "PhoneNumbers",
    key: "phone_numbers",
    sid_parameter: "PhoneNumberSid",
    address_field: "phone_number",
};
const SHORT_CODES: Kind = Kind {
    short_codes: true,
    path: "ShortCodes",
    key: "short_codes",
    sid_parameter: "ShortCodeSid",
    address_field: "short_code",
};

pub(crate) async fn list_phone_numbers(request: Request) -> Result<Success, Problem> {
    PHONE_NUMBERS.list(request).await
}

pub(crate) async fn create_phone_number(request: Request) -> Result<Success, Problem> {
    PHONE_NUMBERS.create(request).await
}

pub(crate) async fn fetch_phone_number(request: Request) -> Result<Success, Problem> {
    PHONE_NUMBERS.fetch(request).await
}

pub(crate) async fn delete_phone_number(request: Request) -> Result<Success, Problem> {
    PHONE_NUMBERS.delete(request).await
}

pub(crate) async fn list_short_codes(request: Request) -> Result<Success, Problem> {
    SHORT_CODES.list(request).await
}

pub(crate) async fn create_short_code(request: Request) -> Result<Success, Problem> {
    SHORT_CODES.create(request).await
}

pub(crate) async fn fetch_short_code(request: Request) -> Result<Success, Problem> {
    SHORT_CODES.fetch(request).await
}

pub(crate) async fn delete_short_code(request: Request) -> Result<Success, Problem> {
    SHORT_CODES.delete(request).await
}

impl Kind {
    async fn list(self, request: Request) -> Result<Success, Problem> {
        let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
        let service = service_of(&request).await?.sid;
        let (store, deadline) = (&request.app().store, request.deadline());
        let page = store
            .pool_number_list(service, self.short_codes, paging.request(), deadline)
            .await?;
        // A number that another pool has taken over since leaves its row behind for a moment.
        let json_of =
            |place: &PoolNumber| (place.service == service).then(|| self.json_of(&request, place));
        Ok(Success::Ok(paging.list(List {
            url: format!("{}/{}", service_url(&request, service), self.path),
            filters: Vec::new(),
            key: self.key,
            fitting: Fitting::of(&page, json_of),
        })))
    }

    async fn create(self, request: Request) -> Result<Success, Problem> {
        let service = service_of(&request).await?.sid;
        let text = request.parameters.non_empty(self.sid_parameter)?;
        let text = text.ok_or_else(|| codes::parameter(self.sid_parameter, "is required"))?;
        let number = self.parse(text).ok_or_else(|| {
            let must_be = match self.short_codes {
                true => {
                    "must be SC and 32 hexadecimal digits, those of a short code of this account"
                }
                false => "must be PN and 32 hexadecimal digits, and no short code's",
            };
            codes::parameter(self.sid_parameter, must_be)
        })?;
        let added = add_pool_number(request.app(), service, number, request.deadline()).await?;
        Ok(match added {
            (place, true) => Success::Created(self.json_of(&request, &place)),
            (place, false) => Success::Ok(self.json_of(&request, &place)),
        })
    }

    async fn fetch(self, request: Request) -> Result<Success, Problem> {
        let service = service_of(&request).await?.sid;
        let (number, address) = self.named(&request)?;
        let store = &request.app().store;
        let place = store.receiver_get(&address, request.deadline()).await?.pool;
        let place = place.filter(|place| place.service == service && place.number == number);
        let place = place.ok_or(codes::NOT_FOUND)?;
        Ok(Success::Ok(self.json_of(&request, &place)))
    }

    async fn delete(self, request: Request) -> Result<Success, Problem> {
        let service = service_of(&request).await?.sid;
        let (number, _) = self.named(&request)?;
        remove_pool_number(request.app(), service, number, request.deadline()).await?;
        Ok(Success::NoContent)
    }

    /// The number that the path names.
    fn named(self, request: &Request) -> Result<(NumberSid, Address), Problem> {
        let number = self.parse(request.segment("Sid"));
        let named = number.and_then(|number| Some((number, number.address()?)));
        named.ok_or(codes::NOT_FOUND)
    }

    /// `None`: not the SID of a number of this list.
    fn parse(self, text: &str) -> Option<NumberSid> {
        let number = match self.short_codes {
            true => NumberSid::from_bytes(*ShortCodeSid::parse(text)?.as_bytes()),
            false => NumberSid::parse(text)?,
        };
        let is_short_code = number.address().is_some_and(|found| found.is_short_code());
        (is_short_code == self.short_codes).then_some(number)
    }

    fn sid_text(self, number: NumberSid) -> String {
        match self.short_codes {
            true => ShortCodeSid::from_bytes(*number.as_bytes()).to_string(),
            false => number.to_string(),
        }
    }

    fn json_of(self, request: &Request, place: &PoolNumber) -> Value {
        let sid = self.sid_text(place.number);
        let mut body = json!({
            "account_sid": request.account().to_string(),
            "service_sid": place.service.to_string(),
            "date_created": date::iso(place.date_created),
            "date_updated": date::iso(place.date_updated),
            "country_code": phone::country(&place.address),
            "capabilities": ["SMS", "MMS"],
            "url": format!("{}/{}/{sid}", service_url(request, place.service), self.path),
            "sid": sid,
        });
        body[self.address_field] = place.address.to_string().into();
        body
    }
}

const ALPHA_SENDERS: &str = "AlphaSenders";

pub(crate) async fn list_alpha_senders(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    let service = service_of(&request).await?.sid;
    let store = &request.app().store;
    let page = store
        .alpha_sender_list(service, paging.request(), request.deadline())
        .await?;
    let json_of = |sender: &AlphaSender| Some(alpha_sender_json(&request, sender));
    Ok(Success::Ok(paging.list(List {
        url: format!("{}/{ALPHA_SENDERS}", service_url(&request, service)),
        filters: Vec::new(),
        key: "alpha_senders",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create_alpha_sender(request: Request) -> Result<Success, Problem> {
    let name = request
        .parameters
        .single("AlphaSender")?
        .unwrap_or_default();
    if !AlphaSender::is_name(name) {
        return Err(codes::parameter(
            "AlphaSender",
            "must be 1 to 11 letters, digits, spaces and -+_&, and not digits alone",
        ));
    }
    let service = service_of(&request).await?.sid;
    let name = name.to_owned();
    let sender = add_alpha_sender(request.app(), service, name, request.deadline()).await?;
    Ok(Success::Created(alpha_sender_json(&request, &sender)))
}

pub(crate) async fn fetch_alpha_sender(request: Request) -> Result<Success, Problem> {
    let (service, sid) = alpha_sender_of(&request).await?;
    let store = &request.app().store;
    let sender = store.alpha_sender_get(service, sid, request.deadline());
    let sender = sender.await?.ok_or(codes::NOT_FOUND)?;
    Ok(Success::Ok(alpha_sender_json(&request, &sender)))
}

pub(crate) async fn delete_alpha_sender(request: Request) -> Result<Success, Problem> {
    let (service, sid) = alpha_sender_of(&request).await?;
    remove_alpha_sender(request.app(), service, sid, request.deadline()).await?;
    Ok(Success::NoContent)
}

async fn alpha_sender_of(
    request: &Request,
) -> Result<(MessagingServiceSid, AlphaSenderSid), Problem> {
    let service = service_of(request).await?.sid;
    let sid = AlphaSenderSid::parse(request.segment("Sid")).ok_or(codes::NOT_FOUND)?;
    Ok((service, sid))
}

fn alpha_sender_json(request: &Request, sender: &AlphaSender) -> Value {
    let service_url = service_url(request, sender.service);
    json!({
        "sid": sender.sid.to_string(),
        "account_sid": request.account().to_string(),
        "service_sid": sender.service.to_string(),
        "date_created": date::iso(sender.date_created),
        "date_updated": date::iso(sender.date_created),
        "alpha_sender": sender.name,
        "capabilities": ["SMS"],
        "url": format!("{service_url}/{ALPHA_SENDERS}/{}", sender.sid),
    })
}
