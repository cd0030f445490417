//! The `AutoCreation` part of an address configuration: its parameters, and its JSON.

use routing::{
    AutoCreation, AutoCreationKind, Call, ConversationServiceSid, EventName, Method, WebhookUrl,
};
use serde_json::{Value, json};

use crate::codes;
use crate::named_services::conversation_service;
use crate::parameters::Parameters;
use crate::problem::Problem;

const DEFAULT: &str = "default";
const WEBHOOK: &str = "webhook";
const STUDIO: &str = "studio";

const WEBHOOK_URL: &str = "AutoCreation.WebhookUrl";
const WEBHOOK_METHOD: &str = "AutoCreation.WebhookMethod";
const WEBHOOK_FILTERS: &str = "AutoCreation.WebhookFilters";
const STUDIO_FLOW_SID: &str = "AutoCreation.StudioFlowSid";
const STUDIO_RETRY_COUNT: &str = "AutoCreation.StudioRetryCount";

const RETRY_COUNT_MAX: u8 = 3;

/// The settings of autocreation that a request gives; `None` leaves a setting as it is.
#[derive(Clone, Debug)]
pub(crate) struct AutoCreationWish {
    enabled: Option<bool>,
    kind: Option<&'static str>,
    /// `Some(None)`: the account's default from now on.
    service: Option<Option<ConversationServiceSid>>,
    url: Option<WebhookUrl>,
    method: Option<Method>,
    filters: Option<Vec<EventName>>,
    flow_sid: Option<String>,
    retry_count: Option<u8>,
}

impl AutoCreationWish {
    pub(crate) fn from_parameters(parameters: &Parameters) -> Result<AutoCreationWish, Problem> {
        let kind = |text: &str| {
            [DEFAULT, WEBHOOK, STUDIO]
                .into_iter()
                .find(|kind| kind.eq_ignore_ascii_case(text))
        };
        let kind_invalid = codes::parameter(
            "AutoCreation.Type",
            "must be one of webhook, studio and default",
        );
        let service = match parameters.single("AutoCreation.ConversationServiceSid")? {
            Some("") => Some(None),
            text => conversation_service(text)?.map(Some),
        };
        let url_invalid = codes::parameter(WEBHOOK_URL, "must be an absolute http or https URL");
        let retry_count = |text: &str| text.parse().ok().filter(|count| *count <= RETRY_COUNT_MAX);
        let retry_count_invalid = codes::parameter(STUDIO_RETRY_COUNT, "must be 0, 1, 2 or 3");
        Ok(AutoCreationWish {
            enabled: parameters.boolean("AutoCreation.Enabled")?,
            kind: parameters.choice("AutoCreation.Type", kind, kind_invalid)?,
            service,
            url: parameters
                .url(WEBHOOK_URL, |error| codes::url(error, url_invalid))?
                .flatten(),
            method: parameters.method(WEBHOOK_METHOD)?,
            filters: parameters.events(WEBHOOK_FILTERS, EventName::fits_autocreation)?,
            flow_sid: parameters
                .non_empty(STUDIO_FLOW_SID)?
                .map(|text| flow_sid(text).ok_or(codes::FLOW_SID))
                .transpose()?,
            retry_count: parameters.choice(STUDIO_RETRY_COUNT, retry_count, retry_count_invalid)?,
        })
    }

    /// The conversation service that the request names.
    pub(crate) fn service(&self) -> Option<ConversationServiceSid> {
        self.service.flatten()
    }

    /// The settings before, with those of the request in their place. Refuses a parameter that the type does not have.
    pub(crate) fn merge(&self, before: &AutoCreation) -> Result<AutoCreation, Problem> {
        let kind = self.kind.unwrap_or(kind(&before.kind));
        let strays = [
            (WEBHOOK_URL, self.url.is_some(), WEBHOOK),
            (WEBHOOK_METHOD, self.method.is_some(), WEBHOOK),
            (WEBHOOK_FILTERS, self.filters.is_some(), WEBHOOK),
            (STUDIO_FLOW_SID, self.flow_sid.is_some(), STUDIO),
            (STUDIO_RETRY_COUNT, self.retry_count.is_some(), STUDIO),
        ];
        for (name, given, of) in strays {
            if given && of != kind {
                let reason = format!("goes with AutoCreation.Type {of} alone");
                return Err(codes::parameter(name, reason));
            }
        }
        let kind = match kind {
            WEBHOOK => self.webhook(&before.kind)?,
            STUDIO => self.studio(&before.kind)?,
            _ => AutoCreationKind::Default,
        };
        Ok(AutoCreation {
            enabled: self.enabled.unwrap_or(before.enabled),
            service: self.service.unwrap_or(before.service),
            kind,
        })
    }

    /// Without filters, also after a request that empties their list, a webhook gets every event that it can get.
    fn webhook(&self, before: &AutoCreationKind) -> Result<AutoCreationKind, Problem> {
        let (call, filters) = match before {
            AutoCreationKind::Webhook { call, filters } => (Some(call), Some(filters)),
            _ => (None, None),
        };
        let url = self.url.as_ref().or(call.map(|call| &call.url));
        let method = self.method.or(call.map(|call| call.method));
        let filters = self.filters.as_ref().or(filters);
        let filters = filters.filter(|events| !events.is_empty());
        let every = || EventName::ALL.into_iter().filter(|e| e.fits_autocreation());
        Ok(AutoCreationKind::Webhook {
            call: Call {
                url: url.ok_or(codes::URL_MISSING)?.clone(),
                method: method.unwrap_or_default(),
            },
            filters: filters.cloned().unwrap_or_else(|| every().collect()),
        })
    }

    fn studio(&self, before: &AutoCreationKind) -> Result<AutoCreationKind, Problem> {
        let (flow_sid, retry_count) = match before {
            AutoCreationKind::Studio {
                flow_sid,
                retry_count,
            } => (Some(flow_sid), Some(*retry_count)),
            _ => (None, None),
        };
        let flow_sid = self.flow_sid.as_ref().or(flow_sid);
        Ok(AutoCreationKind::Studio {
            flow_sid: flow_sid.ok_or(codes::FLOW_SID)?.clone(),
            retry_count: self.retry_count.or(retry_count).unwrap_or(0),
        })
    }
}

fn flow_sid(text: &str) -> Option<String> {
    let digits = text.strip_prefix("FW")?;
    let fits = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| format!("FW{}", digits.to_ascii_lowercase()))
}

fn kind(kind: &AutoCreationKind) -> &'static str {
    match kind {
        AutoCreationKind::Default => DEFAULT,
        AutoCreationKind::Webhook { .. } => WEBHOOK,
        AutoCreationKind::Studio { .. } => STUDIO,
    }
}

/// The two types with a hook of their own always show the service. The default type shows it if it was set. `default`: the
/// account's default service.
pub(crate) fn auto_creation_json(
    auto_creation: &AutoCreation,
    default: ConversationServiceSid,
) -> Value {
    let mut body = json!({
        "enabled": auto_creation.enabled,
        "type": kind(&auto_creation.kind),
    });
    match &auto_creation.kind {
        AutoCreationKind::Default => {}
        AutoCreationKind::Webhook { call, filters } => {
            let filters: Vec<&str> = filters.iter().map(|event| event.as_str()).collect();
            body["webhook_url"] = call.url.as_str().into();
            body["webhook_method"] = call.method.as_str().into();
            body["webhook_filters"] = filters.into();
        }
        AutoCreationKind::Studio {
            flow_sid,
            retry_count,
        } => {
            body["studio_flow_sid"] = flow_sid.as_str().into();
            body["studio_retry_count"] = (*retry_count).into();
        }
    }
    let hooked = !matches!(auto_creation.kind, AutoCreationKind::Default);
    let default = hooked.then_some(default);
    if let Some(service) = auto_creation.service.or(default) {
        body["conversation_service_sid"] = service.to_string().into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    const NONE: AutoCreation = AutoCreation {
        enabled: false,
        service: None,
        kind: AutoCreationKind::Default,
    };

    fn merge(body: &str, before: &AutoCreation) -> Result<AutoCreation, u32> {
        let parameters = Parameters::new(Form::parse(body.as_bytes()).unwrap());
        let merged =
            AutoCreationWish::from_parameters(&parameters).and_then(|wish| wish.merge(before));
        merged.map_err(|problem| problem.code)
    }

    #[test]
    fn each_type_has_its_parameters() {
        let flow = format!("AutoCreation.StudioFlowSid=FW{}", "a".repeat(32));
        let webhook = "AutoCreation.Type=webhook&AutoCreation.WebhookUrl=https://a.example";
        let studio = format!("AutoCreation.Type=Studio&{flow}");
        let more = |first: &str, second: &str| format!("{first}&AutoCreation.{second}");
        for (body, error) in [
            ("".to_owned(), None),
            ("AutoCreation.Type=default".to_owned(), None),
            ("AutoCreation.Type=sms".to_owned(), Some(20001)),
            ("AutoCreation.Enabled=maybe".to_owned(), Some(20001)),
            (webhook.to_owned(), None),
            ("AutoCreation.Type=webhook".to_owned(), Some(50369)),
            (
                "AutoCreation.Type=webhook&AutoCreation.WebhookUrl=x".to_owned(),
                Some(20001),
            ),
            (webhook.replace("a.example", &"a".repeat(512)), Some(50372)),
            (more(webhook, "WebhookMethod=get"), None),
            (more(webhook, "WebhookMethod=put"), Some(20001)),
            (more(webhook, "WebhookFilters=onMessageAdded"), None),
            (
                more(webhook, "WebhookFilters=onConversationAdded"),
                Some(50365),
            ),
            (more(webhook, &flow[13..]), Some(20001)),
            (
                "AutoCreation.WebhookUrl=https://a.example".to_owned(),
                Some(20001),
            ),
            (studio.clone(), None),
            ("AutoCreation.Type=studio".to_owned(), Some(50367)),
            (
                "AutoCreation.Type=studio&AutoCreation.StudioFlowSid=FW1".to_owned(),
                Some(50367),
            ),
            (more(&studio, "StudioRetryCount=3"), None),
            (more(&studio, "StudioRetryCount=4"), Some(20001)),
            (
                format!(
                    "AutoCreation.ConversationServiceSid={}",
                    ConversationServiceSid::DEFAULT
                ),
                None,
            ),
            (
                "AutoCreation.ConversationServiceSid=IS1".to_owned(),
                Some(50050),
            ),
        ] {
            assert_eq!(merge(&body, &NONE).err(), error, "{body}");
        }
    }

    #[test]
    fn an_absent_parameter_changes_nothing() {
        let made = "AutoCreation.Enabled=true&AutoCreation.Type=webhook\
                    &AutoCreation.WebhookUrl=https://a.example&AutoCreation.WebhookMethod=get\
                    &AutoCreation.WebhookFilters=onMessageAdded";
        let before = merge(made, &NONE).unwrap();
        assert_eq!(merge("", &before), Ok(before.clone()));
        let moved = merge("AutoCreation.WebhookUrl=https://b.example", &before).unwrap();
        let shown = json!({
            "enabled": true,
            "type": "webhook",
            "conversation_service_sid": ConversationServiceSid::DEFAULT.to_string(),
            "webhook_url": "https://b.example",
            "webhook_method": "GET",
            "webhook_filters": ["onMessageAdded"],
        });
        assert_eq!(
            auto_creation_json(&moved, ConversationServiceSid::DEFAULT),
            shown
        );
        let plain = merge("AutoCreation.Type=default", &before).unwrap();
        assert_eq!(
            auto_creation_json(&plain, ConversationServiceSid::DEFAULT),
            json!({"enabled": true, "type": "default"})
        );
    }

    #[test]
    fn a_webhook_without_filters_gets_all_ten_events() {
        let made = "AutoCreation.Type=webhook&AutoCreation.WebhookUrl=https://a.example";
        let AutoCreationKind::Webhook { filters, .. } = merge(made, &NONE).unwrap().kind else {
            panic!("not a webhook");
        };
        assert_eq!(filters.len(), 10);
    }
}
