//! The part of a decision's input that is not read from the table: the time, new ids, and the cause of the change.

use jiff::Timestamp;

use crate::settings::SettingsInForce;
use crate::sid::{ChangeId, ConversationSid, ParticipantSid, WebhookSid};
use crate::source::Source;

/// The properties that all entries of one change share.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    pub fresh: &'a Fresh,
    /// Of the conversation's service.
    pub settings: SettingsInForce<'a>,
    pub source: Source,
    pub quiet: bool,
}

/// The time and new ids. One for each request, kept over its retries, so that every attempt writes the same change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub now: Timestamp,
    pub change: ChangeId,
    /// The change that closes a conversation which is past its closing time, where that is a change of its own.
    pub closing: ChangeId,
    pub conversation: ConversationSid,
    pub participant: ParticipantSid,
    pub webhook: WebhookSid,
}
