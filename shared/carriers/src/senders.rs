//! The carriers that can send for us.

use std::time::Duration;

use egress::HttpClient;
use routing::CarrierName;

use crate::simulator::outbox::Outbox;
use crate::twilio::send::Sender;
use crate::{SendResult, Sending};

/// What a carrier needs to send, for each carrier. This is not always what proves that a message is the carrier's.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    pub twilio: Option<Sender>,
    /// In the local stack alone.
    pub simulator: Option<Outbox>,
}

impl Senders {
    /// The carrier of a number that names none: Twilio, unless the simulator alone can send. No client library can name
    /// the simulator.
    pub fn default_name(&self) -> CarrierName {
        match self.twilio.is_none() && self.simulator.is_some() {
            true => CarrierName::Simulator,
            false => CarrierName::Twilio,
        }
    }

    /// Asks a carrier once to send a message, and waits for its reply no longer than `time`.
    pub async fn send(
        &self,
        carrier: CarrierName,
        http: &HttpClient,
        sending: &Sending<'_>,
        time: Duration,
    ) -> SendResult {
        match carrier {
            CarrierName::Twilio => match &self.twilio {
                Some(sender) => sender.send(http, sending, time).await,
                None => SendResult::not_accepted("there are no credentials for Twilio"),
            },
            CarrierName::Simulator => match &self.simulator {
                Some(outbox) => outbox.send(sending),
                None => SendResult::not_accepted("the simulator is not here"),
            },
        }
    }
}
