//! `/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers`: the numbers that the account receives on, also WhatsApp
//! senders (`whatsapp:+15550001111`), and the numbers' own webhooks.
//!
//! `Carrier` and `InboundWebhook` are Crosspoint's own. A number at Twilio has more (voice, fax, addresses, status
//! callbacks): requests may give it, nothing reads it, and responses show null. A method belongs to its URL. Without a
//! URL the method is POST.

use routing::{
    Address, Call, CarrierName, InboundWebhook, Method, NumberSettings, NumberSid, WebhookUrl,
};
use serde_json::{Value, json};
use service::{create_number, delete_number, update_number};

use crate::codes;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::{date, phone};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 1_000,
};
const FRIENDLY_NAME_CHARACTERS_MAX: usize = 64;
/// At Twilio, an application replaces the number's own webhook.
const UNSUPPORTED: [&str; 1] = ["SmsApplicationSid"];

/// With `FriendlyName`, a page may be short, and even empty, and still have a next one.
pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    check_account(&request)?;
    let parameters = &request.parameters;
    let paging = Paging::from_parameters(parameters, PAGE_SIZES)?;
    let name = parameters.non_empty("FriendlyName")?;
    let number = parameters
        .non_empty("PhoneNumber")?
        .map(phone_number)
        .transpose()?;
    let (store, deadline) = (&request.app().store, request.deadline());
    let json_of = |number: &NumberSettings| {
        let listed = name.is_none_or(|name| name == number.friendly_name);
        listed.then(|| number_json(&request, number))
    };
    let fitting = match &number {
        Some(address) => {
            let receiver = store.receiver_get(address, deadline).await?;
            Fitting::only(receiver.number.as_ref().and_then(json_of))
        }
        None => {
            let page = store.number_list(paging.request(), deadline).await?;
            Fitting::of(&page, json_of)
        }
    };
    let number = number.map(|address| address.to_string());
    let filters = [("FriendlyName", name), ("PhoneNumber", number.as_deref())];
    Ok(Success::Ok(
        paging.list_2010(List {
            url: format!("{}.json", numbers_path(&request)),
            filters: filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            key: "incoming_phone_numbers",
            fitting,
        }),
    ))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    check_account(&request)?;
    let parameters = &request.parameters;
    let address = parameters.non_empty("PhoneNumber")?;
    let address = address.ok_or_else(|| codes::parameter("PhoneNumber", "is required"))?;
    let address = phone_number(address)?;
    let wish = NumberWish::from_parameters(parameters)?;
    let carrier = wish.carrier.unwrap_or(request.app().senders.default_name());
    let edit = |number| wish.apply(number);
    let number = create_number(request.app(), address, carrier, edit, request.deadline()).await?;
    Ok(Success::Created(number_json(&request, &number)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let (sid, address) = number_of(&request)?;
    let store = &request.app().store;
    let receiver = store.receiver_get(&address, request.deadline()).await?;
    let number = receiver.number.filter(|number| number.sid == sid);
    let number = number.ok_or(codes::NOT_FOUND)?;
    Ok(Success::Ok(number_json(&request, &number)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let (sid, address) = number_of(&request)?;
    let wish = NumberWish::from_parameters(&request.parameters)?;
    let number = update_number(
        request.app(),
        &address,
        |number| number.sid == sid,
        |number| wish.apply(number),
        request.deadline(),
    );
    Ok(Success::Ok(number_json(&request, &number.await?)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let (sid, address) = number_of(&request)?;
    let select = |number: &NumberSettings| number.sid == sid;
    delete_number(request.app(), &address, select, request.deadline()).await?;
    Ok(Success::NoContent)
}

/// One stack has one account.
fn check_account(request: &Request) -> Result<(), Problem> {
    let account = routing::AccountSid::parse(request.segment("AccountSid"));
    match account == Some(request.account()) {
        true => Ok(()),
        false => Err(codes::NOT_FOUND),
    }
}

/// The number that the path names, as `PN….json`.
fn number_of(request: &Request) -> Result<(NumberSid, Address), Problem> {
    check_account(request)?;
    let text = request.segment("File").strip_suffix(".json");
    let sid = text.and_then(NumberSid::parse).ok_or(codes::NOT_FOUND)?;
    Ok((sid, sid.address().ok_or(codes::NOT_FOUND)?))
}

/// The path of the list, without its suffix.
fn numbers_path(request: &Request) -> String {
    format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers",
        request.account()
    )
}

fn phone_number(text: &str) -> Result<Address, Problem> {
    let address = phone::address(text).filter(|address| address.can_receive());
    address.ok_or_else(|| {
        let reason = "is not one that can receive: it must be E.164 (+15550001111), whatsapp: and E.164, or a short code";
        codes::parameter("PhoneNumber", reason)
    })
}

/// The settings that a request gives, to create a number or to update it; `None` leaves a setting as it is.
struct NumberWish {
    friendly_name: Option<String>,
    carrier: Option<CarrierName>,
    sms: CallWish,
    sms_fallback: CallWish,
    inbound_webhook: Option<InboundWebhook>,
}

pub(crate) struct CallWish {
    /// `Some(None)` removes the URL.
    pub(crate) url: Option<Option<WebhookUrl>>,
    method: Option<Method>,
}

const UNBOUND: &str = "unbound";
const ALWAYS: &str = "always";

impl NumberWish {
    fn from_parameters(parameters: &Parameters) -> Result<NumberWish, Problem> {
        parameters.refuse_unsupported(&UNSUPPORTED)?;
        let name_too_long = codes::parameter("FriendlyName", "is longer than 64 characters");
        let carriers: Vec<_> = CarrierName::ALL.iter().map(|name| name.as_str()).collect();
        let must_be = format!("must be {}", carriers.join(" or "));
        let carrier_invalid = codes::parameter("Carrier", must_be);
        let inbound_webhook = |text: &str| match text.to_ascii_lowercase().as_str() {
            UNBOUND => Some(InboundWebhook::Unbound),
            ALWAYS => Some(InboundWebhook::Always),
            _ => None,
        };
        let inbound_webhook_invalid =
            codes::parameter("InboundWebhook", "must be unbound or always");
        Ok(NumberWish {
            friendly_name: parameters.text(
                "FriendlyName",
                FRIENDLY_NAME_CHARACTERS_MAX,
                name_too_long,
            )?,
            carrier: parameters.choice("Carrier", CarrierName::parse, carrier_invalid)?,
            sms: CallWish::from_parameters(parameters, "SmsUrl", "SmsMethod")?,
            sms_fallback: CallWish::from_parameters(
                parameters,
                "SmsFallbackUrl",
                "SmsFallbackMethod",
            )?,
            inbound_webhook: parameters.choice(
                "InboundWebhook",
                inbound_webhook,
                inbound_webhook_invalid,
            )?,
        })
    }

    fn apply(&self, number: NumberSettings) -> NumberSettings {
        NumberSettings {
            friendly_name: self.friendly_name.clone().unwrap_or(number.friendly_name),
            carrier: self.carrier.unwrap_or(number.carrier),
            sms: self.sms.apply(number.sms),
            sms_fallback: self.sms_fallback.apply(number.sms_fallback),
            inbound_webhook: self.inbound_webhook.unwrap_or(number.inbound_webhook),
            ..number
        }
    }
}

impl CallWish {
    pub(crate) fn from_parameters(
        parameters: &Parameters,
        url: &str,
        method: &str,
    ) -> Result<CallWish, Problem> {
        Ok(CallWish {
            url: parameters.url(url, |error| {
                codes::parameter(url, format!("is wrong: {error}"))
            })?,
            method: parameters.method(method)?,
        })
    }

    pub(crate) fn apply(&self, before: Option<Call>) -> Option<Call> {
        let method = self.method.or(before.as_ref().map(|call| call.method));
        let url = match &self.url {
            Some(url) => url.clone(),
            None => before.map(|call| call.url),
        };
        Some(Call {
            url: url?,
            method: method.unwrap_or_default(),
        })
    }
}

fn number_json(request: &Request, number: &NumberSettings) -> Value {
    let url = |call: &Option<Call>| call.as_ref().map(|call| call.url.to_string());
    let method = |call: &Option<Call>| {
        let method = call.as_ref().map(|call| call.method);
        method.unwrap_or_default().as_str()
    };
    json!({
        "account_sid": request.account().to_string(),
        "address_requirements": "none",
        "address_sid": null,
        "api_version": "2010-04-01",
        "beta": false,
        "bundle_sid": null,
        "capabilities": {"voice": false, "sms": true, "mms": true, "fax": false},
        "carrier": number.carrier.as_str(),
        "date_created": date::rfc2822(number.date_created),
        "date_updated": date::rfc2822(number.date_updated),
        "emergency_address_sid": null,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": number.friendly_name,
        "identity_sid": null,
        "inbound_webhook": match number.inbound_webhook {
            InboundWebhook::Unbound => UNBOUND,
            InboundWebhook::Always => ALWAYS,
        },
        "origin": null,
        "phone_number": number.address.to_string(),
        "sid": number.sid.to_string(),
        "sms_application_sid": null,
        "sms_fallback_method": method(&number.sms_fallback),
        "sms_fallback_url": url(&number.sms_fallback),
        "sms_method": method(&number.sms),
        "sms_url": url(&number.sms),
        "status": "in-use",
        "status_callback": null,
        "status_callback_method": null,
        "trunk_sid": null,
        "type": null,
        "uri": format!("{}/{}.json", numbers_path(request), number.sid),
        "voice_application_sid": null,
        "voice_caller_id_lookup": false,
        "voice_fallback_method": null,
        "voice_fallback_url": null,
        "voice_method": null,
        "voice_receive_mode": "voice",
        "voice_url": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;
    use jiff::Timestamp;

    fn wish(body: &str) -> Result<NumberWish, u32> {
        let parameters = Parameters::new(Form::parse(body.as_bytes()).unwrap());
        NumberWish::from_parameters(&parameters).map_err(|problem| problem.code)
    }

    fn number() -> NumberSettings {
        let address: Address = "+15550001111".parse().unwrap();
        NumberSettings {
            sid: NumberSid::of(&address, [0; 8]).unwrap(),
            version: 1,
            friendly_name: address.to_string(),
            address,
            carrier: CarrierName::Twilio,
            sms: None,
            sms_fallback: None,
            inbound_webhook: InboundWebhook::Unbound,
            date_created: Timestamp::UNIX_EPOCH,
            date_updated: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_wrong_parameter_is_refused() {
        let long = format!("FriendlyName={}", "a".repeat(65));
        for body in [
            &*long,
            "Carrier=telnyx",
            "SmsUrl=example",
            "SmsMethod=PUT",
            "SmsFallbackUrl=ftp://x",
            "InboundWebhook=never",
            "SmsApplicationSid=AP1",
        ] {
            assert_eq!(wish(body).err(), Some(20001), "{body}");
        }
        for bad in ["ACME", "(555) 000-1111", ""] {
            assert_eq!(
                phone_number(bad).map_err(|problem| problem.code),
                Err(20001)
            );
        }
    }

    #[test]
    fn an_absent_parameter_changes_nothing_and_an_empty_url_removes_it() {
        let made =
            wish("SmsUrl=https://a.example&SmsMethod=get&InboundWebhook=ALWAYS&Carrier=Simulator");
        let made = made.unwrap().apply(number());
        let call = made.sms.clone().unwrap();
        assert_eq!(
            (call.url.as_str(), call.method),
            ("https://a.example", Method::Get)
        );
        assert_eq!(made.inbound_webhook, InboundWebhook::Always);
        assert_eq!(made.carrier, CarrierName::Simulator);
        assert_eq!(wish("VoiceUrl=x").unwrap().apply(made.clone()), made);
        let moved = wish("SmsUrl=https://b.example")
            .unwrap()
            .apply(made.clone());
        assert_eq!(moved.sms.map(|call| call.method), Some(Method::Get));
        assert_eq!(wish("SmsUrl=").unwrap().apply(made).sms, None);
        assert_eq!(wish("SmsMethod=GET").unwrap().apply(number()), number());
    }
}
