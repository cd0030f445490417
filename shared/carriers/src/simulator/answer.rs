//! The response to the simulator: the one that Twilio would get, so that a developer sees it.

use bytes::Bytes;
use http::Response;

use crate::{Reply, twilio};

pub(crate) fn answer(reply: Option<Reply>) -> Response<Bytes> {
    twilio::answer::answer(reply)
}
