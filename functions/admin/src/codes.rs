//! Every problem that the API reports: its HTTP status, its public error code and its text.
//!
//! No other file knows a status or a code. The client reads the text here; the cause goes to the log alone. No text
//! repeats a value that the client sent.

use axum::http::StatusCode;
use routing::{
    Channel, ConversationServiceSid, ConversationSid, Message, Metadata, Participant,
    ParticipantSid, Refusal, Timers, UrlError, WebhookUrl,
};
use serde_json::json;
use service::attributes::AttributesError;
use service::{ChangeError, EditFault, EditKey, InvalidEdit};
use store::StoreError;

use crate::problem::Problem;

const fn bad_request(code: u32, message: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, message)
}

const fn conflict(code: u32, message: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, message)
}

const PARAMETER: u32 = 20001;

pub(crate) const AUTHENTICATE: Problem =
    Problem::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
pub(crate) const METHOD_NOT_ALLOWED: Problem = Problem::new(
    StatusCode::METHOD_NOT_ALLOWED,
    20004,
    "This method is not allowed here",
);
/// [`Problem::body`] makes the text, which names the path.
pub(crate) const NOT_FOUND: Problem = Problem::new(StatusCode::NOT_FOUND, 20404, "");
pub(crate) const PANIC: Problem = INTERNAL;
const INTERNAL: Problem = Problem::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    20500,
    "Internal server error",
);
const UNAVAILABLE: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    20503,
    "The service is not available now, and nothing was changed. Try again.",
);
const UNKNOWN: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    20503,
    "The service did not answer in time, and it is not known whether anything was changed. Look before you try again.",
);
const CONTENDED: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    20503,
    "Too many requests change the same thing at once; nothing was changed. Try again.",
);
const POOL_TAKEN: Problem = conflict(
    21712,
    "The number is in the sender pool of another Messaging Service",
);
const NUMBER_UNKNOWN: Problem = bad_request(
    21711,
    "The number is not one of this account: no number has this SID",
);
pub(crate) const DEFAULT_SERVICE_STAYS: Problem = conflict(
    20409,
    "The account's first and its default Messaging Service can't be deleted",
);
const ADDRESS_TAKEN: Problem = conflict(20409, "A resource for this address already exists");

pub(crate) const NOT_A_FORM: Problem = Problem::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    PARAMETER,
    "The content type of the body must be application/x-www-form-urlencoded",
);
pub(crate) const UNREADABLE: Problem =
    bad_request(PARAMETER, "The request could not be read to its end");

pub(crate) const PAGE_NOT_INTEGER: Problem = bad_request(19036, "Page must be an integer");
pub(crate) const PAGE_NEGATIVE: Problem = bad_request(19038, "Page must not be negative");
const PAGE_TOKEN: Problem = bad_request(21481, "PageToken is not one that this list gave out");

pub(crate) const SERVICE_NOT_FOUND: Problem = Problem::new(
    StatusCode::NOT_FOUND,
    50050,
    "Conversation service not found",
);
pub(crate) const MESSAGING_SERVICE: Problem =
    bad_request(50341, "Messaging Service SID is malformed or unknown");

const _: () =
    assert!(Metadata::NAME_CHARACTERS_MAX == 256 && Participant::IDENTITY_CHARACTERS_MAX == 256);
pub(crate) const FRIENDLY_NAME_TOO_LONG: Problem =
    bad_request(50003, "FriendlyName is longer than 256 characters");
pub(crate) const UNIQUE_NAME_TOO_LONG: Problem =
    bad_request(50004, "UniqueName is longer than 256 characters");
pub(crate) const UNIQUE_NAME_IS_SID: Problem =
    bad_request(50390, "UniqueName must not look like a Conversation SID");
pub(crate) const STATE_EMPTY: Problem = bad_request(50374, "State must not be empty");
pub(crate) const STATE_INVALID: Problem =
    bad_request(50378, "State must be one of active, inactive and closed");
pub(crate) const INACTIVE_TIMER: Problem = bad_request(
    50379,
    "The inactive timer must be an ISO 8601 duration without years and months, like PT1H or P1D",
);
pub(crate) const CLOSED_TIMER: Problem = bad_request(
    50380,
    "The closed timer must be an ISO 8601 duration without years and months, like PT1H or P1D",
);
const _: () = assert!(Timers::INACTIVE_S_MIN == 60 && Timers::CLOSED_S_MIN == 600);
pub(crate) const INACTIVE_TIMER_SHORT: Problem =
    bad_request(50375, "The inactive timer must be at least 1 minute");
pub(crate) const CLOSED_TIMER_SHORT: Problem =
    bad_request(50376, "The closed timer must be at least 10 minutes");

pub(crate) const PARTICIPANT_EMPTY: Problem = bad_request(
    50204,
    "Identity was not provided: a participant has an Identity, or a MessagingBinding.Address with a \
     MessagingBinding.ProxyAddress",
);
pub(crate) const IDENTITY_TOO_LONG: Problem = bad_request(
    50207,
    "Identity is longer than 256 characters or 1,000 bytes",
);
pub(crate) const IDENTITY_WITH_BINDING: Problem = bad_request(
    50211,
    "Identity is not allowed together with a MessagingBinding.Address or MessagingBinding.ProxyAddress",
);
pub(crate) const LAST_READ_TIMESTAMP: Problem =
    bad_request(50405, "LastReadTimestamp must be an ISO 8601 date and time");
pub(crate) const DATE_CREATED: Problem =
    bad_request(50308, "DateCreated must be an ISO 8601 date and time");
pub(crate) const DATE_UPDATED: Problem =
    bad_request(50309, "DateUpdated must be an ISO 8601 date and time");
pub(crate) const LAST_READ_INDEX: Problem = bad_request(
    50421,
    "LastReadMessageIndex must be 0 or a positive integer",
);
pub(crate) const ADDRESS_INVALID: Problem = bad_request(
    50407,
    "Address is not one that can receive: it must be E.164 (+15550001111), whatsapp: and E.164, or a short code",
);
const ADDRESS_IS_OURS: Problem = bad_request(
    50407,
    "Address is one of this account's own numbers, which can only be a proxy address",
);
pub(crate) const PROXY_INVALID: Problem = bad_request(
    50408,
    "ProxyAddress must be E.164 (+15550001111), whatsapp: and E.164, or a short code",
);
pub(crate) const SAME_ADDRESSES: Problem =
    bad_request(50409, "Address and ProxyAddress are the same");
pub(crate) const ADDRESS_EMPTY: Problem =
    bad_request(50411, "MessagingBinding.Address must not be empty");
pub(crate) const PROXY_EMPTY: Problem = bad_request(
    50412,
    "MessagingBinding.ProxyAddress must not be empty: group conversations, whose participants have none, are not \
     supported yet",
);
const PROXY_NOT_OURS: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    50413,
    "ProxyAddress is not a number of this account",
);
pub(crate) const CHANNELS_DIFFER: Problem =
    bad_request(50414, "Address and ProxyAddress are of different channels");
const WHATSAPP_PROXY_NOT_OURS: Problem = bad_request(
    50415,
    "ProxyAddress is not a WhatsApp sender of this account",
);
pub(crate) const IDENTITY_AND_ADDRESS: Problem =
    bad_request(50451, "Give either Identity or Address, not both");

const _: () =
    assert!(Message::AUTHOR_CHARACTERS_MAX == 256 && Message::BODY_REST_CHARACTERS_MAX == 1_600);
pub(crate) const AUTHOR_TOO_LONG: Problem =
    bad_request(50310, "Author is longer than 256 characters or 1,000 bytes");
pub(crate) const BODY_MISSING: Problem = bad_request(50503, "Body must not be empty");
pub(crate) const BODY_TOO_LONG: Problem =
    bad_request(50504, "Body is longer than 1,600 characters");

pub(crate) const PRE_WEBHOOK_URL: Problem =
    bad_request(50077, "PreWebhookUrl must be an absolute http or https URL");
pub(crate) const POST_WEBHOOK_URL: Problem = bad_request(
    50078,
    "PostWebhookUrl must be an absolute http or https URL",
);
pub(crate) const WEBHOOK_METHOD: Problem = bad_request(50055, "Method must be GET or POST");
pub(crate) const WEBHOOK_TARGET: Problem = bad_request(50364, "Target must be webhook or flex");
pub(crate) const FILTER_INVALID: Problem =
    bad_request(50365, "A filter is not the name of an event that fits here");
pub(crate) const FLOW_SID: Problem = bad_request(
    50367,
    "AutoCreation.StudioFlowSid must be FW and 32 hexadecimal digits",
);
pub(crate) const URL_MISSING: Problem = bad_request(
    50369,
    "AutoCreation.WebhookUrl is required by AutoCreation.Type webhook",
);
pub(crate) const URL_TOO_LONG: Problem = bad_request(50372, "URL is longer than 512 characters");

/// A parameter's value is not allowed. The text is the parameter's name and `reason`.
pub(crate) fn parameter(name: &str, reason: impl std::fmt::Display) -> Problem {
    bad_request(PARAMETER, "").with_message(format!("{name} {reason}"))
}

/// One of Twilio's parameters that Crosspoint does not have. Without this problem it would have no effect, silently.
pub(crate) fn not_supported(name: &str) -> Problem {
    parameter(name, "is not supported yet")
}

pub(crate) fn body_too_large(bytes_max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, PARAMETER, "")
        .with_message(format!("The body is longer than {bytes_max} bytes"))
}

pub(crate) fn form(error: carriers::FormError) -> Problem {
    bad_request(PARAMETER, "").with_message(format!("The parameters can't be read: {error}"))
}

/// A webhook's URL is refused. `invalid`: the problem of this parameter with a URL that is none.
pub(crate) fn url(error: UrlError, invalid: Problem) -> Problem {
    const _: () = assert!(WebhookUrl::CHARACTERS_MAX == 512);
    match error {
        UrlError::TooLong => URL_TOO_LONG,
        UrlError::Invalid => invalid,
    }
}

pub(crate) fn attributes(error: AttributesError) -> Problem {
    match error {
        AttributesError::TooLong(max) => {
            bad_request(50303, "").with_message(format!("Attributes are longer than {max} bytes"))
        }
        AttributesError::NotJson => bad_request(50304, "Attributes must be a JSON object"),
    }
}

/// The proxy address of a pair on this channel is not one of the account's numbers.
pub(crate) fn proxy_not_ours(channel: Channel) -> Problem {
    match channel {
        Channel::Sms => PROXY_NOT_OURS,
        Channel::WhatsApp => WHATSAPP_PROXY_NOT_OURS,
    }
}

/// The text names the holder after the word `Conversation` and one space, because programs look for it there.
fn key_bound(
    conversation: ConversationSid,
    participant: ParticipantSid,
    service: ConversationServiceSid,
) -> Problem {
    let message = format!(
        "A binding for this participant and proxy address already exists in Conversation {conversation}"
    );
    let details = json!({
        "conversation_sid": conversation.to_string(),
        "participant_sid": participant.to_string(),
        "chat_service_sid": service.to_string(),
    });
    conflict(50416, "")
        .with_message(message)
        .with_details(details)
}

fn name_taken(holder: ConversationSid) -> Problem {
    conflict(50353, "Conversation with this UniqueName already exists")
        .with_details(json!({"conversation_sid": holder.to_string()}))
}

fn invalid_edit(edit: &InvalidEdit) -> Problem {
    let code = match (edit.key, edit.fault) {
        (EditKey::Attributes, EditFault::Attributes(AttributesError::TooLong(_))) => 50303,
        (EditKey::Attributes, _) => 50304,
        (EditKey::FriendlyName, _) => 50003,
        (EditKey::Body, _) => 50504,
        (EditKey::Author, _) => 50310,
    };
    bad_request(code, "").with_message(edit.to_string())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        const _: () = assert!(Participant::COUNT_MAX == 1_000 && Participant::PAIRS_MAX == 50);
        match refusal {
            Refusal::NotFound => NOT_FOUND,
            Refusal::Closed => {
                bad_request(50377, "Conversation is closed; it can't change any more")
            }
            Refusal::Initializing => conflict(
                50391,
                "Conversation is being created; it can change when it is active",
            ),
            Refusal::StateForbidden => STATE_INVALID,
            Refusal::BornClosed => bad_request(50384, "A new conversation can't be closed"),
            Refusal::ParticipantsMax => {
                bad_request(50417, "Conversation has 1,000 participants already")
            }
            Refusal::PairsMax => bad_request(
                50418,
                "Conversation has 50 participants with an address already",
            ),
            Refusal::NoAddress => bad_request(
                50441,
                "ProxyAddress can't be added: the participant has no Address",
            ),
            Refusal::SameAddresses => SAME_ADDRESSES,
            Refusal::ChannelsDiffer => CHANNELS_DIFFER,
            Refusal::AddressIsOurs => ADDRESS_IS_OURS,
            Refusal::ProxyIsNotOurs => PROXY_NOT_OURS,
            Refusal::KeyBound {
                conversation,
                participant,
                service,
            } => key_bound(conversation, participant, service),
            Refusal::IdentityTaken => conflict(50433, "Participant already exists"),
            Refusal::NameTaken(holder) => name_taken(holder),
            Refusal::AddressTaken => ADDRESS_TAKEN,
            Refusal::NumberUnknown => NUMBER_UNKNOWN,
            Refusal::PoolTaken => POOL_TAKEN,
            Refusal::Rejected => Problem::new(
                StatusCode::FORBIDDEN,
                50056,
                "The pre-action webhook rejected this",
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let problem = match &error {
            StoreError::PageToken => return PAGE_TOKEN,
            StoreError::Unknown { .. } => UNKNOWN,
            _ if error.retryable() => UNAVAILABLE,
            _ => INTERNAL,
        };
        problem.with_cause(error)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Problem {
        match error {
            ChangeError::Refused(refusal) => refusal.into(),
            ChangeError::InvalidEdit(edit) => invalid_edit(&edit),
            ChangeError::Contended => CONTENDED,
            ChangeError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn source() -> Box<dyn Error + Send + Sync> {
        "the secret cause".into()
    }

    fn key_bound_in(conversation: ConversationSid) -> Refusal {
        Refusal::KeyBound {
            conversation,
            participant: ParticipantSid::from_bytes([2; 16]),
            service: ConversationServiceSid::from_bytes([3; 16]),
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_code() {
        let holder = ConversationSid::from_bytes([1; 16]);
        for (refusal, status, code) in [
            (Refusal::NotFound, 404, 20404),
            (Refusal::Closed, 400, 50377),
            (Refusal::Initializing, 409, 50391),
            (Refusal::StateForbidden, 400, 50378),
            (Refusal::BornClosed, 400, 50384),
            (Refusal::ParticipantsMax, 400, 50417),
            (Refusal::PairsMax, 400, 50418),
            (Refusal::NoAddress, 400, 50441),
            (Refusal::SameAddresses, 400, 50409),
            (Refusal::ChannelsDiffer, 400, 50414),
            (key_bound_in(holder), 409, 50416),
            (Refusal::IdentityTaken, 409, 50433),
            (Refusal::NameTaken(holder), 409, 50353),
            (Refusal::AddressIsOurs, 400, 50407),
            (Refusal::ProxyIsNotOurs, 403, 50413),
            (Refusal::AddressTaken, 409, 20409),
            (Refusal::NumberUnknown, 400, 21711),
            (Refusal::PoolTaken, 409, 21712),
            (Refusal::Rejected, 403, 50056),
        ] {
            let problem = Problem::from(ChangeError::Refused(refusal));
            assert_eq!(
                (problem.status.as_u16(), problem.code),
                (status, code),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn every_failed_change_has_its_status_and_code() {
        let edit = |key| {
            ChangeError::InvalidEdit(InvalidEdit {
                key,
                fault: EditFault::NotText,
            })
        };
        let operation = "test";
        for (error, status, code) in [
            (edit(EditKey::Body), 400, 50504),
            (edit(EditKey::Author), 400, 50310),
            (edit(EditKey::Attributes), 400, 50304),
            (edit(EditKey::FriendlyName), 400, 50003),
            (ChangeError::Contended, 503, 20503),
            (StoreError::PageToken.into(), 400, 21481),
            (
                StoreError::Unavailable {
                    operation,
                    source: source(),
                }
                .into(),
                503,
                20503,
            ),
            (
                StoreError::Unknown {
                    operation,
                    source: source(),
                }
                .into(),
                503,
                20503,
            ),
            (
                StoreError::Refused {
                    operation,
                    source: source(),
                }
                .into(),
                503,
                20503,
            ),
            (
                StoreError::Corrupt {
                    key: "secret".to_owned(),
                    reason: "secret".to_owned(),
                }
                .into(),
                500,
                20500,
            ),
        ] {
            let name = format!("{error:?}");
            let problem = Problem::from(error);
            assert_eq!(
                (problem.status.as_u16(), problem.code),
                (status, code),
                "{name}"
            );
            assert_eq!(
                problem.cause.is_some(),
                status >= 500 && name != "Contended"
            );
            assert!(!problem.body("/").to_string().contains("secret"), "{name}");
        }
    }

    #[test]
    fn a_bound_pair_names_its_conversation_in_text_and_details() {
        let refusal = key_bound_in(ConversationSid::from_bytes([0xab; 16]));
        let body = Problem::from(refusal).body("/");
        let sid = format!("CH{}", "ab".repeat(16));
        let text = format!(
            "A binding for this participant and proxy address already exists in Conversation {sid}"
        );
        assert_eq!(body["message"], text);
        assert_eq!(body["details"]["conversation_sid"], sid);
        assert_eq!(
            body["more_info"],
            "https://www.twilio.com/docs/errors/50416"
        );
        assert_eq!(body["status"], 409);
    }

    #[test]
    fn what_is_not_found_is_named() {
        let expected = json!({
            "code": 20404,
            "message": "The requested resource /v1/Conversations/CH1 was not found",
            "more_info": "https://www.twilio.com/docs/errors/20404",
            "status": 404,
        });
        assert_eq!(NOT_FOUND.body("/v1/Conversations/CH1"), expected);
    }
}
