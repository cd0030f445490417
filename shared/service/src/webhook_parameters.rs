//! The parameters of pre-action and post-action webhooks. A parameter without a value is left out.

use jiff::Timestamp;
use routing::{
    AccountSid, Channel, EarlierMessage, Entry, Event, Media, Message, MessageSid, Pair,
    Participant, PreActionCall, PreActionProposal, Snapshot, Source, State,
};
use serde::Serialize;

/// A list of form parameters.
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

/// The parameters of a call to a pre-action webhook.
pub(crate) fn of_pre_action(
    call: &PreActionCall,
    account: AccountSid,
    source: Source,
) -> Vec<(String, String)> {
    let mut parameters = Parameters(Vec::with_capacity(16));
    parameters.put("AccountSid", account.to_string());
    parameters.put("EventType", call.event.name().as_str());
    parameters.put("Source", source.as_str());
    parameters.put("RetryCount", "0");
    match &call.proposal {
        PreActionProposal::Conversation {
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
        PreActionProposal::Message {
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

/// The parameters of a delivery to a post-action webhook: of the event in `place` of an entry, after `failures` failed
/// attempts.
pub(crate) fn of_event(
    entry: &Entry,
    event: &Event,
    place: u64,
    account: AccountSid,
    failures: u32,
) -> Vec<(String, String)> {
    let mut parameters = Parameters(Vec::with_capacity(24));
    parameters.put("AccountSid", account.to_string());
    parameters.put("EventType", event.name().as_str());
    parameters.put("Source", entry.source.as_str());
    parameters.put("RetryCount", failures.to_string());
    parameters.put("Sequence", (entry.event_number() + place).to_string());
    parameters.put("ConversationSid", entry.conversation.to_string());
    match event {
        Event::ConversationAdded(snapshot) => {
            parameters.conversation(entry, entry.header.state, snapshot);
            parameters.pair(snapshot.pair.as_ref());
        }
        Event::ConversationUpdated(snapshot) => {
            parameters.conversation(entry, entry.header.state, snapshot);
        }
        Event::ConversationRemoved { state, snapshot } => {
            parameters.conversation(entry, *state, snapshot);
            parameters.time("DateRemoved", entry.at);
        }
        Event::ConversationStateUpdated { from, to, reason } => {
            parameters.services(entry);
            parameters.time("StateUpdated", entry.at);
            parameters.put("StateFrom", from.as_str());
            parameters.put("StateTo", to.as_str());
            parameters.put("Reason", reason.as_str());
        }
        Event::ParticipantAdded(participant) => parameters.participant(participant),
        Event::ParticipantUpdated(participant) => {
            parameters.participant(participant);
            parameters.time("DateUpdated", entry.at);
            let index = participant.last_read_index.map(|index| index.to_string());
            parameters.put_some("LastReadMessageIndex", index);
        }
        Event::ParticipantRemoved(participant) => {
            parameters.participant(participant);
            parameters.time("DateUpdated", participant.date_updated);
            parameters.time("DateRemoved", entry.at);
        }
        Event::MessageAdded(message) => {
            let sid = MessageSid::at(entry.slot, entry.change);
            parameters.put(
                "MessagingServiceSid",
                entry.header.messaging_service.to_string(),
            );
            parameters.message(sid, entry.at, message);
        }
        Event::MessageUpdated(EarlierMessage {
            sid,
            date_created,
            message,
        }) => {
            parameters.message(*sid, *date_created, message);
            parameters.time("DateUpdated", entry.at);
        }
        Event::MessageRemoved(EarlierMessage {
            sid,
            date_created,
            message,
        }) => {
            parameters.message(*sid, *date_created, message);
            parameters.time("DateUpdated", entry.at);
            parameters.time("DateRemoved", entry.at);
        }
    }
    parameters.0
}

impl Parameters {
    /// With milliseconds, as webhooks write times.
    fn time(&mut self, name: &str, at: Timestamp) {
        self.put(name, at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
    }

    fn services(&mut self, entry: &Entry) {
        self.put("ChatServiceSid", entry.header.service.to_string());
        self.put(
            "MessagingServiceSid",
            entry.header.messaging_service.to_string(),
        );
    }

    fn conversation(&mut self, entry: &Entry, state: State, snapshot: &Snapshot) {
        self.services(entry);
        self.time("DateCreated", snapshot.date_created);
        self.time("DateUpdated", entry.at);
        self.put_some("FriendlyName", snapshot.friendly_name.clone());
        self.put_some("UniqueName", snapshot.unique_name.clone());
        self.put("Attributes", &snapshot.attributes);
        self.put("State", state.as_str());
    }

    fn pair(&mut self, pair: Option<&Pair>) {
        let proxy = pair.map(|pair| pair.proxy().to_string());
        self.put_some("MessagingBinding.ProxyAddress", proxy);
        let address = pair.map(|pair| pair.address().to_string());
        self.put_some("MessagingBinding.Address", address);
    }

    fn participant(&mut self, participant: &Participant) {
        self.put("ParticipantSid", participant.sid.to_string());
        self.time("DateCreated", participant.date_created);
        self.put_some("Identity", participant.identity.clone());
        self.put("Attributes", &participant.attributes);
        self.pair(participant.pair.as_ref());
        let kind = match participant.pair.as_ref().map(|pair| pair.proxy().channel()) {
            None => "CHAT",
            Some(Channel::Sms) => "SMS",
            Some(Channel::WhatsApp) => "WHATSAPP",
        };
        self.put("MessagingBinding.Type", kind);
    }

    fn message(&mut self, sid: MessageSid, date_created: Timestamp, message: &Message) {
        self.put("MessageSid", sid.to_string());
        self.put("Index", message.index.to_string());
        self.time("DateCreated", date_created);
        self.put("Body", &message.body);
        self.put("Author", &message.author);
        let participant = message.participant.map(|sid| sid.to_string());
        self.put_some("ParticipantSid", participant);
        self.put("Attributes", &message.attributes);
        self.put_some("Media", media(&message.media));
    }
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
