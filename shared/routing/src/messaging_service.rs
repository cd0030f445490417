//! A messaging service, and its sender pool: the numbers whose unbound messages it handles, and names that it sends as.

use jiff::Timestamp;

use crate::address::Address;
use crate::sid::{AlphaSenderSid, MessagingServiceSid, NumberSid};
use crate::webhook::{Call, WebhookUrl};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingService {
    pub sid: MessagingServiceSid,
    /// 0: the account's first service, which is there though no request has written it.
    pub version: u64,
    pub friendly_name: String,
    /// "Autocreate a Conversation": in force while the account is unlocked for it.
    pub autocreates: bool,
    pub inbound: Option<Call>,
    pub fallback: Option<Call>,
    /// A number's own webhook comes before `inbound`. Without this, the number's own is not called.
    pub defers_to_number: bool,
    pub sending: SendingSettings,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// How a service sends. Kept and shown: Crosspoint sends from each participant's own proxy address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingSettings {
    pub status_callback: Option<WebhookUrl>,
    pub sticky_sender: bool,
    pub smart_encoding: bool,
    pub mms_converter: bool,
    pub fallback_to_long_code: bool,
    pub area_code_geomatch: bool,
    pub synchronous_validation: bool,
    pub scan_message_content: ScanMessageContent,
    /// From 1 to [`SendingSettings::VALIDITY_PERIOD_S_MAX`].
    pub validity_period_s: u32,
    pub usecase: Usecase,
}

/// The words of an enumeration, as the API reads and shows them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$attribute])* $variant,)*
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// Reads both cases.
            pub fn parse(text: &str) -> Option<$name> {
                let is = |word: &&$name| word.as_str().eq_ignore_ascii_case(text);
                $name::ALL.iter().find(is).copied()
            }
        }
    };
}

words!(ScanMessageContent {
    #[default]
    Inherit = "inherit",
    Enable = "enable",
    Disable = "disable",
});

words!(
    /// The scenario in which a service is used.
    Usecase {
        Notifications = "notifications",
        Marketing = "marketing",
        Verification = "verification",
        Discussion = "discussion",
        Poll = "poll",
        #[default]
        Undeclared = "undeclared",
    }
);

/// The place of a number in the sender pool of one service. It counts as none once the service is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolNumber {
    pub service: MessagingServiceSid,
    pub number: NumberSid,
    pub version: u64,
    pub address: Address,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// A name that a service may send as. It never receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlphaSender {
    pub service: MessagingServiceSid,
    pub sid: AlphaSenderSid,
    pub name: String,
    pub date_created: Timestamp,
}

impl MessagingService {
    pub const NAME_CHARACTERS_MAX: usize = 64;

    /// A service with an empty sender pool. It autocreates, which touches no number yet: a user adds the numbers one at
    /// a time.
    pub fn new(
        sid: MessagingServiceSid,
        friendly_name: String,
        now: Timestamp,
    ) -> MessagingService {
        MessagingService {
            sid,
            version: 1,
            friendly_name,
            autocreates: true,
            inbound: None,
            fallback: None,
            defers_to_number: true,
            sending: SendingSettings::default(),
            date_created: now,
            date_updated: now,
        }
    }

    /// The account's first service, before any request has written it.
    pub fn unwritten_default() -> MessagingService {
        MessagingService {
            version: 0,
            ..MessagingService::new(
                MessagingServiceSid::DEFAULT,
                "Default Messaging Service for Conversations".to_owned(),
                Timestamp::UNIX_EPOCH,
            )
        }
    }
}

impl SendingSettings {
    pub const VALIDITY_PERIOD_S_MAX: u32 = 36_000;
}

impl Default for SendingSettings {
    fn default() -> SendingSettings {
        SendingSettings {
            status_callback: None,
            sticky_sender: true,
            smart_encoding: true,
            mms_converter: true,
            fallback_to_long_code: true,
            area_code_geomatch: true,
            synchronous_validation: false,
            scan_message_content: ScanMessageContent::default(),
            validity_period_s: SendingSettings::VALIDITY_PERIOD_S_MAX,
            usecase: Usecase::default(),
        }
    }
}

impl AlphaSender {
    pub const CHARACTERS_MAX: usize = 11;

    /// Whether a network shows the text as the name of a sender: letters, digits, space and `-+_&`, not digits alone.
    pub fn is_name(text: &str) -> bool {
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '+' | '_' | '&');
        (1..=AlphaSender::CHARACTERS_MAX).contains(&text.len())
            && text.chars().all(allowed)
            && !text.bytes().all(|byte| byte.is_ascii_digit())
    }
}
