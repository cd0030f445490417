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
    /// `None`: the message names none; then the account and `repeated` are its identity.
    pub(crate) sid: Option<CarrierMessageSid>,
    /// The receiving address as it came; empty if there is none.
    pub(crate) to: &'a [u8],
    /// The parts of the body that every repetition has too.
    pub(crate) repeated: Vec<&'a [u8]>,
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
        repeated,
    } = known;
    let of_body = || {
        let parts: [&[u8]; 1] = [account.as_bytes()];
        let parts = [&parts[..], &repeated].concat();
        CarrierMessageSid::from_bytes(false, digest(&parts))
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
