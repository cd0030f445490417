//! The response to a message that we took.

use bytes::Bytes;
use http::Response;
use routing::CarrierName;

use crate::{simulator, twilio};

/// What the number's own webhook replied to a message that no conversation took: a status of success, and TwiML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// The response that tells a carrier that its message is taken. `reply`: what the number's own webhook replied, if it
/// was called.
pub fn answer(carrier: CarrierName, reply: Option<Reply>) -> Response<Bytes> {
    match carrier {
        CarrierName::Twilio => twilio::answer::answer(reply),
        CarrierName::Simulator => simulator::answer::answer(reply),
    }
}
