//! What a decision knows besides facts: the time, new ids, and who or what causes the change.

use jiff::Timestamp;

use crate::account::SettingsInForce;
use crate::sid::{ChangeId, ConversationSid, ParticipantSid, WebhookSid};
use crate::source::Source;

/// What every entry of one change has in common.
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
