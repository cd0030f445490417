//! The names of events, as webhooks and their filters use them.

macro_rules! event_names {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// The 23 event names of the Conversations API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName {
            $($variant),+
        }

        impl EventName {
            pub const ALL: [EventName; 23] = [$(EventName::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(EventName::$variant => $name),+
                }
            }
        }
    };
}

event_names! {
    OnMessageAdd => "onMessageAdd",
    OnMessageUpdate => "onMessageUpdate",
    OnMessageRemove => "onMessageRemove",
    OnMessageAdded => "onMessageAdded",
    OnMessageUpdated => "onMessageUpdated",
    OnMessageRemoved => "onMessageRemoved",
    OnConversationAdd => "onConversationAdd",
    OnConversationUpdate => "onConversationUpdate",
    OnConversationRemove => "onConversationRemove",
    OnConversationAdded => "onConversationAdded",
    OnConversationUpdated => "onConversationUpdated",
    OnConversationRemoved => "onConversationRemoved",
    OnConversationStateUpdated => "onConversationStateUpdated",
    OnParticipantAdd => "onParticipantAdd",
    OnParticipantUpdate => "onParticipantUpdate",
    OnParticipantRemove => "onParticipantRemove",
    OnParticipantAdded => "onParticipantAdded",
    OnParticipantUpdated => "onParticipantUpdated",
    OnParticipantRemoved => "onParticipantRemoved",
    OnUserUpdate => "onUserUpdate",
    OnUserAdded => "onUserAdded",
    OnUserUpdated => "onUserUpdated",
    OnDeliveryUpdated => "onDeliveryUpdated",
}

impl EventName {
    /// Case-insensitive, as all enumerations of the API are.
    pub fn parse(text: &str) -> Option<EventName> {
        EventName::ALL
            .into_iter()
            .find(|name| name.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether a service's webhooks may ask for it: users' events go to the account's webhooks alone.
    pub fn fits_service(self) -> bool {
        use EventName::*;
        !matches!(self, OnUserAdded | OnUserUpdate | OnUserUpdated)
    }

    /// Whether an address configuration's webhook may ask for it: the webhook is attached to a conversation that
    /// exists already.
    pub fn fits_autocreation(self) -> bool {
        use EventName::*;
        matches!(
            self,
            OnMessageAdded
                | OnMessageUpdated
                | OnMessageRemoved
                | OnConversationUpdated
                | OnConversationStateUpdated
                | OnConversationRemoved
                | OnParticipantAdded
                | OnParticipantUpdated
                | OnParticipantRemoved
                | OnDeliveryUpdated
        )
    }
}
