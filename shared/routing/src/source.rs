//! The source of a change.

use crate::address::Channel;

/// The source of a change, in the words that webhooks use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Sms,
    WhatsApp,
    Api,
    /// A timer that fired.
    Timer,
}

impl Source {
    /// Of a message that came by the channel.
    pub fn of(channel: Channel) -> Source {
        match channel {
            Channel::Sms => Source::Sms,
            Channel::WhatsApp => Source::WhatsApp,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Source::Sms => "SMS",
            Source::WhatsApp => "WhatsApp",
            Source::Api | Source::Timer => "API",
        }
    }
}
