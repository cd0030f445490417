//! `/messaging/v1/Services`: the messaging services.
//!
//! `AutocreateConversation` is Crosspoint's own: at Twilio only the Console has it. A method belongs to its URL. Without
//! a URL the method is POST.

use routing::{
    Call, MessagingService, MessagingServiceSid, ScanMessageContent, SendingSettings, Usecase,
    WebhookUrl,
};
use serde_json::{Value, json};
use service::{
    create_messaging_service, delete_messaging_service, update_messaging_service,
    write_default_messaging_service,
};

use store::ListKind;

use crate::codes;
use crate::date;
use crate::numbers::CallWish;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

pub(crate) const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 1_000,
};
const SERVICES: &str = "/messaging/v1/Services";

pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    paging.request().check(ListKind::MessagingServices)?;
    write_default_messaging_service(request.app(), request.deadline()).await?;
    let store = &request.app().store;
    let page = store
        .messaging_service_list(paging.request(), request.deadline())
        .await?;
    let json_of = |service: &MessagingService| Some(service_json(&request, service));
    Ok(Success::Ok(paging.list(List {
        url: request.url(SERVICES),
        filters: Vec::new(),
        key: "services",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let wish = ServiceWish::from_parameters(&request.parameters)?;
    let name = wish.friendly_name.clone();
    let name = name.ok_or_else(|| codes::parameter("FriendlyName", "is required"))?;
    // A new service does what its request asks for: it calls the URL, or it makes conversations.
    let edit = |service| {
        wish.apply(MessagingService {
            autocreates: !matches!(wish.inbound.url, Some(Some(_))),
            ..service
        })
    };
    let service = create_messaging_service(request.app(), name, edit, request.deadline()).await?;
    Ok(Success::Created(service_json(&request, &service)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let service = match sid_of(&request)? {
        MessagingServiceSid::DEFAULT => {
            write_default_messaging_service(request.app(), request.deadline()).await?
        }
        _ => service_of(&request).await?,
    };
    Ok(Success::Ok(service_json(&request, &service)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let sid = sid_of(&request)?;
    let wish = ServiceWish::from_parameters(&request.parameters)?;
    let edit = |service| wish.apply(service);
    let service = update_messaging_service(request.app(), sid, edit, request.deadline()).await?;
    Ok(Success::Ok(service_json(&request, &service)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let sid = sid_of(&request)?;
    let account = request.app().store.account_get(request.deadline()).await?;
    if [
        MessagingServiceSid::DEFAULT,
        account.default_messaging_service,
    ]
    .contains(&sid)
    {
        return Err(codes::DEFAULT_SERVICE_STAYS);
    }
    delete_messaging_service(request.app(), sid, request.deadline()).await?;
    Ok(Success::NoContent)
}

/// The service that the path names, which must be there.
pub(crate) async fn service_of(request: &Request) -> Result<MessagingService, Problem> {
    let store = &request.app().store;
    let service = store.messaging_service_get(sid_of(request)?, request.deadline());
    service.await?.ok_or(codes::NOT_FOUND)
}

fn sid_of(request: &Request) -> Result<MessagingServiceSid, Problem> {
    MessagingServiceSid::parse(request.segment("ServiceSid")).ok_or(codes::NOT_FOUND)
}

pub(crate) fn service_url(request: &Request, sid: MessagingServiceSid) -> String {
    request.url(&format!("{SERVICES}/{sid}"))
}

/// The settings that a request gives, to create a service or to update it; `None` leaves a setting as it is.
struct ServiceWish {
    friendly_name: Option<String>,
    autocreates: Option<bool>,
    inbound: CallWish,
    fallback: CallWish,
    defers_to_number: Option<bool>,
    /// `Some(None)` removes the URL.
    status_callback: Option<Option<WebhookUrl>>,
    sticky_sender: Option<bool>,
    smart_encoding: Option<bool>,
    mms_converter: Option<bool>,
    fallback_to_long_code: Option<bool>,
    area_code_geomatch: Option<bool>,
    synchronous_validation: Option<bool>,
    scan_message_content: Option<ScanMessageContent>,
    validity_period_s: Option<u32>,
    usecase: Option<Usecase>,
}

impl ServiceWish {
    fn from_parameters(parameters: &Parameters) -> Result<ServiceWish, Problem> {
        const _: () = assert!(
            MessagingService::NAME_CHARACTERS_MAX == 64
                && SendingSettings::VALIDITY_PERIOD_S_MAX == 36_000
        );
        let name_too_long = codes::parameter("FriendlyName", "is longer than 64 characters");
        let name_max = MessagingService::NAME_CHARACTERS_MAX;
        let friendly_name = parameters.text("FriendlyName", name_max, name_too_long)?;
        if friendly_name.as_deref() == Some("") {
            return Err(codes::parameter("FriendlyName", "must not be empty"));
        }
        let call = |url, method| CallWish::from_parameters(parameters, url, method);
        let invalid_url = |error| codes::parameter("StatusCallback", format!("is wrong: {error}"));
        let seconds = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let seconds = text.parse().ok().filter(|_| digits)?;
            (1..=SendingSettings::VALIDITY_PERIOD_S_MAX)
                .contains(&seconds)
                .then_some(seconds)
        };
        let scan_words = "must be inherit, enable or disable";
        let usecase_words =
            "must be notifications, marketing, verification, discussion, poll or undeclared";
        Ok(ServiceWish {
            friendly_name,
            autocreates: parameters.boolean("AutocreateConversation")?,
            inbound: call("InboundRequestUrl", "InboundMethod")?,
            fallback: call("FallbackUrl", "FallbackMethod")?,
            defers_to_number: parameters.boolean("UseInboundWebhookOnNumber")?,
            status_callback: parameters.url("StatusCallback", invalid_url)?,
            sticky_sender: parameters.boolean("StickySender")?,
            smart_encoding: parameters.boolean("SmartEncoding")?,
            mms_converter: parameters.boolean("MmsConverter")?,
            fallback_to_long_code: parameters.boolean("FallbackToLongCode")?,
            area_code_geomatch: parameters.boolean("AreaCodeGeomatch")?,
            synchronous_validation: parameters.boolean("SynchronousValidation")?,
            scan_message_content: parameters.choice(
                "ScanMessageContent",
                ScanMessageContent::parse,
                codes::parameter("ScanMessageContent", scan_words),
            )?,
            validity_period_s: parameters.choice(
                "ValidityPeriod",
                seconds,
                codes::parameter("ValidityPeriod", "must be an integer from 1 to 36000"),
            )?,
            usecase: parameters.choice(
                "Usecase",
                Usecase::parse,
                codes::parameter("Usecase", usecase_words),
            )?,
        })
    }

    fn apply(&self, service: MessagingService) -> MessagingService {
        let sending = service.sending;
        MessagingService {
            friendly_name: self.friendly_name.clone().unwrap_or(service.friendly_name),
            autocreates: self.autocreates.unwrap_or(service.autocreates),
            inbound: self.inbound.apply(service.inbound),
            fallback: self.fallback.apply(service.fallback),
            defers_to_number: self.defers_to_number.unwrap_or(service.defers_to_number),
            sending: SendingSettings {
                status_callback: match &self.status_callback {
                    Some(url) => url.clone(),
                    None => sending.status_callback,
                },
                sticky_sender: self.sticky_sender.unwrap_or(sending.sticky_sender),
                smart_encoding: self.smart_encoding.unwrap_or(sending.smart_encoding),
                mms_converter: self.mms_converter.unwrap_or(sending.mms_converter),
                fallback_to_long_code: self
                    .fallback_to_long_code
                    .unwrap_or(sending.fallback_to_long_code),
                area_code_geomatch: self
                    .area_code_geomatch
                    .unwrap_or(sending.area_code_geomatch),
                synchronous_validation: self
                    .synchronous_validation
                    .unwrap_or(sending.synchronous_validation),
                scan_message_content: self
                    .scan_message_content
                    .unwrap_or(sending.scan_message_content),
                validity_period_s: self.validity_period_s.unwrap_or(sending.validity_period_s),
                usecase: self.usecase.unwrap_or(sending.usecase),
            },
            ..service
        }
    }
}

fn service_json(request: &Request, service: &MessagingService) -> Value {
    let (url, sending) = (service_url(request, service.sid), &service.sending);
    let url_of = |call: &Option<Call>| call.as_ref().map(|call| call.url.to_string());
    let method_of = |call: &Option<Call>| {
        let method = call.as_ref().map(|call| call.method);
        method.unwrap_or_default().as_str()
    };
    json!({
        "sid": service.sid.to_string(),
        "account_sid": request.account().to_string(),
        "friendly_name": service.friendly_name,
        "autocreate_conversation": service.autocreates,
        "date_created": date::iso(service.date_created),
        "date_updated": date::iso(service.date_updated),
        "inbound_request_url": url_of(&service.inbound),
        "inbound_method": method_of(&service.inbound),
        "fallback_url": url_of(&service.fallback),
        "fallback_method": method_of(&service.fallback),
        "status_callback": sending.status_callback.as_ref().map(ToString::to_string),
        "sticky_sender": sending.sticky_sender,
        "mms_converter": sending.mms_converter,
        "smart_encoding": sending.smart_encoding,
        "scan_message_content": sending.scan_message_content.as_str(),
        "fallback_to_long_code": sending.fallback_to_long_code,
        "area_code_geomatch": sending.area_code_geomatch,
        "synchronous_validation": sending.synchronous_validation,
        "validity_period": sending.validity_period_s,
        "usecase": sending.usecase.as_str(),
        "us_app_to_person_registered": false,
        "use_inbound_webhook_on_number": service.defers_to_number,
        "url": url,
        "links": {
            "phone_numbers": format!("{url}/PhoneNumbers"),
            "short_codes": format!("{url}/ShortCodes"),
            "alpha_senders": format!("{url}/AlphaSenders"),
            "messages": format!("{url}/Messages"),
            "us_app_to_person": format!("{url}/Compliance/Usa2p"),
            "us_app_to_person_usecases": format!("{url}/Compliance/Usa2p/Usecases"),
            "channel_senders": format!("{url}/ChannelSenders"),
            "destination_alpha_senders": format!("{url}/DestinationAlphaSenders"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;
    use jiff::Timestamp;

    fn wish(body: &str) -> Result<ServiceWish, u32> {
        let parameters = Parameters::new(Form::parse(body.as_bytes()).unwrap());
        ServiceWish::from_parameters(&parameters).map_err(|problem| problem.code)
    }

    #[test]
    fn every_wrong_parameter_is_refused() {
        let long = format!("FriendlyName={}", "a".repeat(65));
        for body in [
            &*long,
            "FriendlyName=",
            "AutocreateConversation=yes",
            "InboundRequestUrl=example",
            "InboundMethod=PUT",
            "FallbackUrl=ftp://x",
            "StatusCallback=x",
            "StickySender=1",
            "ScanMessageContent=never",
            "ValidityPeriod=0",
            "ValidityPeriod=36001",
            "ValidityPeriod=%2B5",
            "Usecase=fun",
        ] {
            assert_eq!(wish(body).err(), Some(20001), "{body}");
        }
    }

    #[test]
    fn an_absent_parameter_changes_nothing() {
        let (sid, now) = (MessagingServiceSid::DEFAULT, Timestamp::UNIX_EPOCH);
        let service = MessagingService::new(sid, "pool".to_owned(), now);
        assert_eq!(wish("Unknown=x").unwrap().apply(service.clone()), service);
        let body = "ValidityPeriod=600&Usecase=Poll&StatusCallback=https://a.example&InboundRequestUrl=https://b.example";
        let changed = wish(body).unwrap().apply(service.clone());
        assert_eq!(wish("").unwrap().apply(changed.clone()), changed);
        let back = "ValidityPeriod=36000&Usecase=undeclared&StatusCallback=&InboundRequestUrl=";
        assert_eq!(wish(back).unwrap().apply(changed), service);
    }
}
