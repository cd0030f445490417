//! Decisions on messages and conversations, from values to values.
//!
//! A decision takes facts (the content of the table), a request (an [`Inbound`] message or a REST change) and values that
//! are no facts ([`Fresh`]: the time, ids). It returns a [`Decision`], which can be a [`Plan`]: the outcome, its reason,
//! and every write with the condition under which it may happen.
//! The code that carries a plan out makes no choice of its own.
//!
//! Files depend on each other in one direction: values, then facts, then plans, then decisions. Every file imports a name
//! from the file that defines it, and a test refuses cycles.
//!
//! Refused here: I/O, clocks, randomness, AWS, HTTP.
//!
//! The cast: [`route`](route()) decides on a message; [`change`] on REST changes; [`Entry`] and [`Header`] are the log
//! that both append to; [`consumer`] decides the steps of its readers, and [`Cursor`] is the position of one;
//! [`Write`] and [`Conflict`] are the language of the table.

mod account;
mod address;
mod address_configuration;
mod after_conflict;
mod binding;
mod cause;
pub mod change;
mod conflict;
pub mod consumer;
mod conversation_service;
mod decision;
mod draft;
mod entry;
mod event_name;
mod expiry;
mod facts;
mod group;
mod header;
mod inbound;
mod journal;
mod key;

mod message;
mod messaging_service;
mod metadata;
mod number;
mod outbound;
mod pair;
mod participant;
mod plan;
mod pre_action;
mod progress;
mod refusal;
mod route;
mod settings;
mod sid;
mod source;
mod state;
mod tail;
mod timers;
mod unreadable;
mod webhook;
mod why;

pub use account::{AccountSettings, OnTimeout, Webhooks};
pub use address::{Address, AddressError, Channel};
pub use address_configuration::{AddressConfiguration, AutoCreation, AutoCreationKind};
pub use after_conflict::{Next, SETTINGS_AGE_MAX};
pub use binding::Binding;
pub use cause::{Cause, Fresh};
pub use change::facts::{ChangeFacts, ChangeRequest, Obstacle};
pub use conflict::{Conflict, Found};
pub use consumer::Consumer;
pub use consumer::action::{AttemptResult, Attempted, Then};
pub use consumer::cursor::{Cursor, Lane, Lease, Position, Recipient};
pub use consumer::endpoint::{Endpoint, Owed, Scope};
pub use consumer::limits::{
    DELIVERY_TIME_MAX, LEASE_TIME, Limits, Looks, Moment, RUN_TIME_MAX, SWEEP_DISTANCE,
};
pub use consumer::look::{Look, gapless};
pub use consumer::post::{Backlog, Delivery, backlog};
pub use consumer::retry::{RETRY_DELAYS_S, retry_at};
pub use consumer::write::{CursorAssignment, CursorCondition, CursorWrite};
pub use conversation_service::ConversationService;
pub use decision::Decision;
pub use entry::{EarlierMessage, Entry, Event, EventId, Snapshot};
pub use event_name::EventName;
pub use expiry::{close_expired, park_idle};
pub use facts::{Facts, Holder};
pub use group::{GROUP_ADDRESSES_MAX, Group};
pub use header::{Header, HeldPair, PostWebhook};
pub use inbound::{CarrierName, Inbound, Media, MessageKey};
pub use journal::{ForwardState, JournalEntry, Journaled, Outcome, Target};
pub use key::Key;

pub use message::{Message, Revision};
pub use messaging_service::{
    AlphaSender, MessagingService, PoolNumber, ScanMessageContent, SendingSettings, Usecase,
};
pub use metadata::Metadata;
pub use number::{InboundWebhook, NumberSettings};
pub use outbound::{
    CLAIM_TIME, CarrierResult, NOTE_TIME, Outbound, OutboundCondition, OutboundState, PREPARE_TIME,
    Relaying, Settlement, after_call, relaying, settle, settle_deleted,
};
pub use pair::{Pair, PairError};
pub use participant::Participant;
pub use plan::{Condition, ItemKey, Plan, Write};
pub use pre_action::{
    PreActionCall, PreActionEdits, PreActionEvent, PreActionProposal, PreActionReply,
    PreActionResult, PreActionWebhook,
};
pub use progress::Progress;
pub use refusal::Refusal;
pub use route::{RouteDecision, route};
pub use settings::{Services, Settings, SettingsInForce, SettingsScope, Unread};
pub use sid::{
    AccountSid, AddressConfigurationSid, AlphaSenderSid, CarrierMessageSid, ChangeId,
    ConversationServiceSid, ConversationSid, MediaSid, MessageSid, MessagingServiceSid, NumberSid,
    ParticipantSid, ShortCodeSid, WebhookSid,
};
pub use source::Source;
pub use state::{Reason, State, Transition};
pub use tail::Tail;
pub use timers::Timers;
pub use unreadable::{RawForm, Unreadable, UnreadableKey};
pub use webhook::{Call, Method, ScopedTarget, ScopedWebhook, UrlError, WebhookUrl};
pub use why::{Rule, Why};
