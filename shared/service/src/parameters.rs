//! The parameters of webhooks, by name. What has no value is left out.

use routing::{AccountSid, Media, Proposal, Source, Veto};
use serde::Serialize;

/// A list of form parameters in the making.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn put(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

/// What a pre-action webhook is told.
pub(crate) fn of_veto(veto: &Veto, account: AccountSid, source: Source) -> Vec<(String, String)> {
    let mut parameters = Parameters(Vec::with_capacity(16));
    parameters.put("AccountSid", account.to_string());
    parameters.put("EventType", veto.event.name().as_str());
    parameters.put("Source", source.as_str());
    parameters.put("RetryCount", "0");
    match &veto.proposal {
        Proposal::Conversation {
            friendly_name,
            unique_name,
            attributes,
            service,
            messaging_service,
            state,
            pair,
            body,
            media,
        } => {
            parameters.put_some("FriendlyName", friendly_name.clone());
            parameters.put_some("UniqueName", unique_name.clone());
            parameters.put("Attributes", attributes);
            parameters.put("ChatServiceSid", service.to_string());
            parameters.put("MessagingServiceSid", messaging_service.to_string());
            parameters.put_some(
                "MessagingBinding.ProxyAddress",
                pair.as_ref().map(|pair| pair.proxy().to_string()),
            );
            parameters.put_some(
                "MessagingBinding.Address",
                pair.as_ref().map(|pair| pair.address().to_string()),
            );
            parameters.put_some("MessageBody", body.clone());
            parameters.put_some("Media", self::media(media));
            parameters.put("State", state.as_str());
        }
        Proposal::Message {
            conversation,
            author,
            participant,
            body,
            media,
            attributes,
        } => {
            parameters.put("ConversationSid", conversation.to_string());
            parameters.put("Body", body);
            parameters.put("Author", author);
            parameters.put_some(
                "ParticipantSid",
                participant.map(|participant| participant.to_string()),
            );
            parameters.put("Attributes", attributes);
            parameters.put_some("Media", self::media(media));
        }
    }
    parameters.0
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Medium<'a> {
    sid: String,
    content_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// A JSON array as text; `None` without media.
fn media(media: &[Media]) -> Option<String> {
    let wire = |medium: &Media| {
        serde_json::json!(Medium {
            sid: medium.sid.to_string(),
            content_type: &medium.content_type,
            size: medium.size,
        })
    };
    (!media.is_empty())
        .then(|| serde_json::Value::Array(media.iter().map(wire).collect()).to_string())
}
