//! An authentic request, read.

use std::fmt;

use routing::{
    AccountSid, CarrierMessageSid, CarrierName, Inbound, RawForm, Unreadable, UnreadableKey,
};

use crate::Request;
use crate::digest::digest;

/// What a carrier surely sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    Message(Inbound),
    /// The carrier's parser can't read it, and could not read a repetition.
    Unreadable(Unreadable),
}

/// What is known of a message that can't be read.
pub(crate) struct Known<'a> {
    pub(crate) carrier: CarrierName,
    pub(crate) account: AccountSid,
    /// `None`: the message names none; then the account and the body are its identity.
    pub(crate) sid: Option<CarrierMessageSid>,
    /// The receiving address as it came; empty if there is none.
    pub(crate) to: &'a [u8],
}

pub(crate) fn unreadable(
    known: Known<'_>,
    request: &Request<'_>,
    reason: &impl fmt::Display,
) -> Unreadable {
    let Known {
        carrier,
        account,
        sid,
        to,
    } = known;
    let of_body = || {
        let bytes = digest(&[account.as_bytes(), request.body]);
        CarrierMessageSid::from_bytes(false, bytes)
    };
    let content_type = request.header("Content-Type").unwrap_or_default();
    Unreadable {
        key: UnreadableKey {
            carrier,
            account,
            sid: sid.unwrap_or_else(of_body),
            to: digest(&[to]),
        },
        received_at: request.received_at,
        reason: reason.to_string(),
        raw: RawForm::of(content_type, request.body),
    }
}
