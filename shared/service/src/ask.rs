//! Asking a pre-action webhook.

use std::time::Duration;

use routing::{Answer, Edits, Message, Metadata, OnTimeout, PreEvent, Source, Verdict, Veto};
use serde_json::{Map, Value};
use store::Deadline;

use crate::App;
use crate::attributes::{self, AttributesError};
use crate::caller::{Answered, CallError};
use crate::parameters;

/// How long a pre-action webhook may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// What must be left of a request's time for the commit that follows.
const COMMIT_RESERVE: Duration = Duration::from_secs(2);
/// The longest body and attributes that an answer may bring, JSON-escaped.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The webhook answered with an allowed key and a value that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pre-action webhook's {key} can't be taken: {fault}")]
pub struct InvalidEdit {
    pub key: &'static str,
    pub fault: EditFault,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    #[error("it is not a string")]
    NotText,
    #[error("it is longer than {0} characters")]
    TooLong(usize),
    #[error(transparent)]
    Attributes(AttributesError),
}

/// Asks once. No answer in time means what the webhook's settings say; a time that no longer fits is no answer.
pub(crate) async fn ask(
    app: &App,
    veto: &Veto,
    source: Source,
    change: routing::ChangeId,
    body_characters_max: usize,
    deadline: Deadline,
) -> Result<Verdict, InvalidEdit> {
    let time = ANSWER_TIME_MAX.min(deadline.less(COMMIT_RESERVE).remaining());
    let parameters = parameters::of_veto(veto, app.account, source);
    let called = match time.is_zero() {
        true => Err(CallError::TimedOut(time)),
        false => {
            app.caller
                .call(&veto.call, &parameters, change, time, ANSWER_BYTES_MAX)
                .await
        }
    };
    let event = veto.event.name().as_str();
    let answer = match called {
        Ok(answered) => read(&answered, veto.event, body_characters_max)?,
        Err(CallError::TooLong(_)) => {
            tracing::warn!(
                event,
                "the pre-action webhook's answer can't be read; published unchanged"
            );
            Answer::Publish(Edits::default())
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            match veto.on_timeout {
                OnTimeout::Publish => {
                    tracing::warn!(
                        event,
                        error,
                        "the pre-action webhook gave no answer; published unchanged"
                    );
                    Answer::Publish(Edits::default())
                }
                OnTimeout::Reject => {
                    tracing::warn!(
                        event,
                        error,
                        "the pre-action webhook gave no answer; rejected"
                    );
                    Answer::Reject
                }
            }
        }
    };
    Ok(Verdict::on(veto, answer))
}

fn read(
    answered: &Answered,
    event: PreEvent,
    body_characters_max: usize,
) -> Result<Answer, InvalidEdit> {
    if !(200..300).contains(&answered.status) {
        tracing::info!(
            event = event.name().as_str(),
            status = answered.status,
            "the pre-action webhook rejects"
        );
        return Ok(Answer::Reject);
    }
    if answered.body.trim_ascii().is_empty() {
        return Ok(Answer::Publish(Edits::default()));
    }
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&answered.body) else {
        let event = event.name().as_str();
        tracing::warn!(
            event,
            "the pre-action webhook's answer is not a JSON object; published unchanged"
        );
        return Ok(Answer::Publish(Edits::default()));
    };
    let edits = match event {
        PreEvent::ConversationAdd => Edits {
            friendly_name: text(&fields, "friendly_name", Metadata::NAME_CHARACTERS_MAX)?,
            ..Edits::default()
        },
        PreEvent::MessageAdd => Edits {
            friendly_name: None,
            body: text(&fields, "body", body_characters_max)?,
            author: text(&fields, "author", Message::AUTHOR_CHARACTERS_MAX)?,
            attributes: text(&fields, "attributes", usize::MAX)?,
        },
    };
    if let Some(attributes) = &edits.attributes {
        attributes::check(attributes, Message::ATTRIBUTES_BYTES_MAX).map_err(|error| {
            InvalidEdit {
                key: "attributes",
                fault: EditFault::Attributes(error),
            }
        })?;
    }
    Ok(Answer::Publish(edits))
}

fn text(
    fields: &Map<String, Value>,
    key: &'static str,
    characters_max: usize,
) -> Result<Option<String>, InvalidEdit> {
    match fields.get(key) {
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

    fn answered(status: u16, body: &str) -> Answered {
        Answered {
            status,
            content_type: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn every_answer_of_a_pre_action_webhook_has_one_meaning() {
        let unchanged = Ok(Answer::Publish(Edits::default()));
        let body = |text: &str| {
            Ok(Answer::Publish(Edits {
                body: Some(text.to_owned()),
                ..Edits::default()
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
            (200, r#"{"body":1}"#, invalid("body", EditFault::NotText)),
            (
                200,
                r#"{"body":"longer"}"#,
                invalid("body", EditFault::TooLong(5)),
            ),
            (
                200,
                r#"{"attributes":"{"}"#,
                invalid(
                    "attributes",
                    EditFault::Attributes(AttributesError::NotJson),
                ),
            ),
            (302, "", Ok(Answer::Reject)),
            (403, r#"{"body":"hi"}"#, Ok(Answer::Reject)),
            (500, "", Ok(Answer::Reject)),
        ] {
            assert_eq!(
                read(&answered(status, text), PreEvent::MessageAdd, 5),
                expected,
                "{status} {text}"
            );
        }
    }

    #[test]
    fn a_conversation_can_be_given_a_name_and_nothing_else() {
        let answer = read(
            &answered(200, r#"{"friendly_name":"Ada","body":"x"}"#),
            PreEvent::ConversationAdd,
            5,
        );
        let edits = Edits {
            friendly_name: Some("Ada".to_owned()),
            ..Edits::default()
        };
        assert_eq!(answer, Ok(Answer::Publish(edits)));
    }
}
