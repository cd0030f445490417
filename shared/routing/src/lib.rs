//! What happens to a message, and to a conversation: decisions from values to values.
//!
//! A decision takes facts (what the table holds), what was asked (an [`Inbound`] message or a change by REST)
//! and everything that is not a fact ([`Fresh`]: the time, ids), and returns a [`Plan`]: the outcome, why, and every
//! write with the condition under which alone it may happen.
//! Whoever carries a plan out makes no choice of its own.
//!
//! Refused here: I/O, clocks, randomness, AWS, HTTP.
//!
//! The cast: [`route`](route()) decides for a message; [`change`] for what users ask by REST; [`Entry`] and
//! [`Header`] are the log that both append to; [`Consumer`] and [`Cursor`] are its readers and their positions;
//! [`Write`] and [`Conflict`] are the language of the table.

mod address;
pub mod change;
mod consumer;
mod conversation;
mod draft;
mod entry;
mod event_name;
mod expiry;
mod facts;
mod header;
mod inbound;
mod journal;
mod message;
mod metadata;
mod outbound;
mod pair;
mod participant;
mod plan;
mod pre_action;
mod route;
mod settings;
mod sid;
mod timers;
mod webhook;

pub use address::{Address, AddressError, Channel};
pub use consumer::Consumer;
pub use consumer::cursor::{Cursor, Lane, Lease, Position, Recipient};
pub use consumer::endpoint::{Endpoint, Owed, Scope, SettingsScope};
pub use consumer::look::{Look, gapless};
pub use consumer::post::{Backlog, Delivery, backlog};
pub use consumer::retry::{RETRY_DELAYS_S, retry_at};
pub use conversation::{Reason, State, Transition};
pub use draft::{Cause, Source};
pub use entry::{EarlierMessage, Entry, Event, EventId, Snapshot};
pub use event_name::EventName;
pub use expiry::{close_expired, park_idle};
pub use facts::{Facts, Fresh, Holder, Next, Tail};
pub use header::{Header, HeldPair, PostWebhook};
pub use inbound::{CarrierName, Inbound, Media, MessageKey};
pub use journal::{ForwardState, JournalEntry, Outcome};
pub use message::{Message, Revision};
pub use metadata::Metadata;
pub use outbound::{Outbound, OutboundState};
pub use pair::{GROUP_ADDRESSES_MAX, Group, Key, Pair, PairError};
pub use participant::Participant;
pub use plan::{Binding, Condition, Conflict, Found, ItemKey, Plan, Write};
pub use pre_action::{
    OnTimeout, PreActionCall, PreActionEdits, PreActionEvent, PreActionProposal, PreActionReply,
    PreActionResult,
};
pub use route::{Decision, Journaled, Rule, Target, Why, route};
pub use settings::{
    AccountSettings, AddressConfiguration, AutoCreation, AutoCreationKind, InboundWebhook,
    MessagingService, NumberSettings, Webhooks,
};
pub use sid::{
    AccountSid, AddressConfigurationSid, CarrierMessageSid, ChangeId, ConversationServiceSid,
    ConversationSid, MediaSid, MessageSid, MessagingServiceSid, NumberSid, ParticipantSid,
    WebhookSid,
};
pub use timers::Timers;
pub use webhook::{Call, Method, ScopedTarget, ScopedWebhook, UrlError, WebhookUrl};
