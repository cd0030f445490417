//! Why a message has its outcome.

use std::fmt;

use crate::sid::{AddressConfigurationSid, ConversationSid, MessagingServiceSid};

/// The reason for a message's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    pub rule: Rule,
    /// The conversation that held the pair past its closing time. The plan of the message closes it.
    pub expired: Option<ConversationSid>,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The pair is bound.
    Bound(ConversationSid),
    /// The receiving address asks for a conversation to be made.
    AddressConfiguration(AddressConfigurationSid),
    /// The receiving number's messaging service does.
    MessagingService(MessagingServiceSid),
    /// The number has a webhook of its own.
    NumberWebhook,
    /// The number's messaging service has one.
    ServiceWebhook(MessagingServiceSid),
    /// No rule applies.
    None,
}

impl Rule {
    /// A name for logs and records.
    pub fn as_str(&self) -> &'static str {
        match self {
            Rule::Bound(_) => "bound",
            Rule::AddressConfiguration(_) => "address-configuration",
            Rule::MessagingService(_) => "messaging-service",
            Rule::NumberWebhook => "number-webhook",
            Rule::ServiceWebhook(_) => "service-webhook",
            Rule::None => "none",
        }
    }
}

/// A sentence for people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(expired) = self.expired {
            write!(
                f,
                "conversation {expired} held the pair until its closing time; "
            )?;
        }
        match self.rule {
            Rule::Bound(conversation) => write!(f, "conversation {conversation} holds the pair"),
            Rule::AddressConfiguration(sid) => {
                write!(f, "address configuration {sid} makes a conversation")
            }
            Rule::MessagingService(sid) => {
                write!(f, "messaging service {sid} makes a conversation")
            }
            Rule::NumberWebhook => write!(
                f,
                "no conversation holds the pair; the number's own webhook is set"
            ),
            Rule::ServiceWebhook(sid) => write!(
                f,
                "no conversation holds the pair; messaging service {sid} has a webhook"
            ),
            Rule::None => write!(
                f,
                "no conversation holds the pair, and nothing is set up for the receiving address"
            ),
        }
    }
}
