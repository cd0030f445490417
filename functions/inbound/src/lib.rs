//! Carrier payload in, carrier response out: `POST /inbound/{carrier}`.
//!
//! The carrier's own code in `carriers` verifies, reads and answers a request. This function bounds the request, names the
//! carrier, and hands the message on. A carrier whose proof is not configured is refused. A message that was taken gets
//! the carrier's own response. A message that the carrier must send again gets a 5xx, and a refused request a 4xx, both
//! with a JSON error.
//!
//! A message that its carrier surely sent, and that can't be read, is taken too, once it is in the journal. A repetition
//! could not be read either, and Twilio repeats a 4xx as often as a 5xx where the number's webhook has `rp=all`.

mod response;

use std::future::Future;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use carriers::{Arrival, Receivers, RequestError};
use futures_util::FutureExt;
use http::{Request, Response};
use routing::CarrierName;
use service::{App, RECEIVE_TIME, ReceiveError, journal_unreadable, receive};
use store::Deadline;

/// The parts that the function needs to answer.
#[derive(Debug)]
pub struct Door {
    pub app: App,
    pub receivers: Receivers,
}

/// Twilio's own bound on webhook bodies is far below.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Answers one request. A panic is answered 500, and the function lives on.
pub async fn handle(door: &Door, request: Request<Bytes>) -> Response<Bytes> {
    guarded(respond(door, request)).await
}

async fn guarded(respond: impl Future<Output = Response<Bytes>>) -> Response<Bytes> {
    AssertUnwindSafe(respond)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| response::panicked())
}

async fn respond(door: &Door, request: Request<Bytes>) -> Response<Bytes> {
    let deadline = Deadline::after(RECEIVE_TIME);
    let (carrier, arrival) = match read(door, &request) {
        Ok(read) => read,
        Err(error) => return response::refused(request.uri().path(), &error),
    };
    match arrival {
        Arrival::Message(inbound) => {
            let message_sid = inbound.key.sid;
            let received = receive(&door.app, inbound, deadline).await;
            let reply = received.map(|received| received.reply);
            response::received(carrier, message_sid, reply)
        }
        Arrival::Unreadable(unreadable) => {
            let journaled = journal_unreadable(&door.app, &unreadable, deadline).await;
            let reply = journaled.map(|()| None).map_err(ReceiveError::from);
            response::received(carrier, unreadable.key.sid, reply)
        }
    }
}

/// The carrier that the path names, and its message.
fn read(door: &Door, request: &Request<Bytes>) -> Result<(CarrierName, Arrival), RequestError> {
    let path = request.uri().path();
    let name = path.strip_prefix("/inbound/").unwrap_or_default();
    let carrier = CarrierName::parse(name)
        .filter(|carrier| carrier.as_str() == name)
        .ok_or(RequestError::UnknownCarrier)?;
    if request.body().len() > BODY_BYTES_MAX {
        return Err(RequestError::TooLong {
            bytes_max: BODY_BYTES_MAX,
        });
    }
    let App {
        public_url, clock, ..
    } = &door.app;
    let path_and_query = request.uri().path_and_query();
    let path_and_query = path_and_query.map_or("/", |text| text.as_str());
    let request = carriers::Request {
        method: request.method(),
        url: &format!("{}{path_and_query}", public_url.as_str()),
        headers: request.headers(),
        body: request.body(),
        received_at: clock.now(),
        fresh: door.app.carrier_message_sid(),
    };
    let arrival = door.receivers.receive(carrier, &request)?;
    Ok((carrier, arrival))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_500() {
        let response = guarded(async { panic!("a defect") }).await;
        assert_eq!(response.status(), 500);
        assert!(!String::from_utf8_lossy(response.body()).contains("defect"));
    }
}
