//! Calls a pre-action webhook, and reads the result from its reply.

use std::time::Duration;

use routing::{
    Message, Metadata, OnTimeout, PreActionCall, PreActionEdits, PreActionEvent, PreActionReply,
    PreActionResult, Source,
};
use serde_json::{Map, Value};
use store::Deadline;

use crate::attributes::{self, AttributesError};
use crate::caller::{CallError, WebhookReply};
use crate::webhook_parameters;
use crate::{App, ErrorChain};

/// How long a pre-action webhook may take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(5);
/// The part of a request's time that the commit after the call needs.
const COMMIT_RESERVE: Duration = Duration::from_secs(2);
/// The longest body and attributes that a reply may contain, JSON-escaped.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// The reply has an allowed key with a value that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pre-action webhook's {} is not allowed: {fault}", key.as_str())]
pub struct InvalidEdit {
    pub key: EditKey,
    pub fault: EditFault,
}

/// A key that a reply may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKey {
    FriendlyName,
    Body,
    Author,
    Attributes,
}

impl EditKey {
    pub fn as_str(self) -> &'static str {
        match self {
            EditKey::FriendlyName => "friendly_name",
            EditKey::Body => "body",
            EditKey::Author => "author",
            EditKey::Attributes => "attributes",
        }
    }
}

/// Why a value is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    #[error("it is not a string")]
    NotText,
    #[error("it is longer than {0} characters")]
    TooLong(usize),
    #[error(transparent)]
    Attributes(AttributesError),
}

/// Calls the webhook once. Without a reply in time, its settings decide. If the rest of the time is too short for a call,
/// that counts as no reply.
pub(crate) async fn call_pre_action_webhook(
    app: &App,
    call: &PreActionCall,
    source: Source,
    change: routing::ChangeId,
    body_characters_max: usize,
    deadline: Deadline,
) -> Result<PreActionReply, InvalidEdit> {
    let time = REPLY_TIME_MAX.min(deadline.less(COMMIT_RESERVE).remaining());
    let parameters = webhook_parameters::of_pre_action(call, app.account, source);
    let called = match time.is_zero() {
        true => Err(CallError::TimedOut(time)),
        false => {
            app.caller
                .call(&call.call, &parameters, change, time, REPLY_BYTES_MAX)
                .await
        }
    };
    let event = call.event.name().as_str();
    let result = match called {
        Ok(reply) => result_of(&reply, call.event, body_characters_max)?,
        Err(CallError::TooLong(_)) => {
            tracing::warn!(
                event,
                "the pre-action webhook's reply is too long; published unchanged"
            );
            PreActionResult::Publish(PreActionEdits::default())
        }
        Err(error) => {
            let error = ErrorChain(&error);
            match call.on_timeout {
                OnTimeout::Publish => {
                    tracing::warn!(
                        event,
                        %error,
                        "the pre-action webhook gave no reply; published unchanged"
                    );
                    PreActionResult::Publish(PreActionEdits::default())
                }
                OnTimeout::Reject => {
                    tracing::warn!(
                        event,
                        %error,
                        "the pre-action webhook gave no reply; rejected"
                    );
                    PreActionResult::Reject
                }
            }
        }
    };
    Ok(PreActionReply::to(call, result))
}

fn result_of(
    reply: &WebhookReply,
    event: PreActionEvent,
    body_characters_max: usize,
) -> Result<PreActionResult, InvalidEdit> {
    if !(200..300).contains(&reply.status) {
        tracing::info!(
            event = event.name().as_str(),
            status = reply.status,
            "the pre-action webhook rejects"
        );
        return Ok(PreActionResult::Reject);
    }
    if reply.body.trim_ascii().is_empty() {
        return Ok(PreActionResult::Publish(PreActionEdits::default()));
    }
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&reply.body) else {
        let event = event.name().as_str();
        tracing::warn!(
            event,
            "the pre-action webhook's reply is not a JSON object; published unchanged"
        );
        return Ok(PreActionResult::Publish(PreActionEdits::default()));
    };
    let edits = match event {
        PreActionEvent::ConversationAdd => PreActionEdits {
            friendly_name: edited_text(
                &fields,
                EditKey::FriendlyName,
                Metadata::NAME_CHARACTERS_MAX,
            )?,
            ..PreActionEdits::default()
        },
        PreActionEvent::MessageAdd => PreActionEdits {
            friendly_name: None,
            body: edited_text(&fields, EditKey::Body, body_characters_max)?,
            author: edited_text(&fields, EditKey::Author, Message::AUTHOR_CHARACTERS_MAX)?,
            attributes: edited_text(&fields, EditKey::Attributes, usize::MAX)?,
        },
    };
    if let Some(attributes) = &edits.attributes {
        attributes::check(attributes, Message::ATTRIBUTES_BYTES_MAX).map_err(|error| {
            InvalidEdit {
                key: EditKey::Attributes,
                fault: EditFault::Attributes(error),
            }
        })?;
    }
    Ok(PreActionResult::Publish(edits))
}

fn edited_text(
    fields: &Map<String, Value>,
    key: EditKey,
    characters_max: usize,
) -> Result<Option<String>, InvalidEdit> {
    match fields.get(key.as_str()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= characters_max => {
            Ok(Some(text.clone()))
        }
        Some(Value::String(_)) => Err(InvalidEdit {
            key,
            fault: EditFault::TooLong(characters_max),
        }),
        Some(_) => Err(InvalidEdit {
            key,
            fault: EditFault::NotText,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> WebhookReply {
        WebhookReply {
            status,
            content_type: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn every_reply_of_a_pre_action_webhook_has_one_meaning() {
        let unchanged = Ok(PreActionResult::Publish(PreActionEdits::default()));
        let body = |text: &str| {
            Ok(PreActionResult::Publish(PreActionEdits {
                body: Some(text.to_owned()),
                ..PreActionEdits::default()
            }))
        };
        let invalid = |key, fault| Err(InvalidEdit { key, fault });
        for (status, text, expected) in [
            (200, "", unchanged.clone()),
            (200, " {} ", unchanged.clone()),
            (204, "", unchanged.clone()),
            (200, r#"{"body":"hi"}"#, body("hi")),
            (200, r#"{"body":""}"#, body("")),
            (
                200,
                r#"{"body":null,"friendly_name":"x","other":1}"#,
                unchanged.clone(),
            ),
            (200, "<Response/>", unchanged.clone()),
            (200, "[]", unchanged),
            (
                200,
                r#"{"body":1}"#,
                invalid(EditKey::Body, EditFault::NotText),
            ),
            (
                200,
                r#"{"body":"longer"}"#,
                invalid(EditKey::Body, EditFault::TooLong(5)),
            ),
            (
                200,
                r#"{"attributes":"{"}"#,
                invalid(
                    EditKey::Attributes,
                    EditFault::Attributes(AttributesError::NotJson),
                ),
            ),
            (302, "", Ok(PreActionResult::Reject)),
            (403, r#"{"body":"hi"}"#, Ok(PreActionResult::Reject)),
            (500, "", Ok(PreActionResult::Reject)),
        ] {
            assert_eq!(
                result_of(&reply(status, text), PreActionEvent::MessageAdd, 5),
                expected,
                "{status} {text}"
            );
        }
    }

    #[test]
    fn a_conversation_can_be_given_a_name_and_nothing_else() {
        let result = result_of(
            &reply(200, r#"{"friendly_name":"Ada","body":"x"}"#),
            PreActionEvent::ConversationAdd,
            5,
        );
        let edits = PreActionEdits {
            friendly_name: Some("Ada".to_owned()),
            ..PreActionEdits::default()
        };
        assert_eq!(result, Ok(PreActionResult::Publish(edits)));
    }
}
