//! The carriers that may hand us messages.

use routing::{AccountSid, CarrierName};

use crate::{Arrival, Request, RequestError, simulator, twilio};

/// What proves that a message is a carrier's, for each carrier. Without its proof, a carrier's requests are refused.
#[derive(Clone, Debug, Default)]
pub struct Receivers {
    pub twilio: Option<twilio::Credentials>,
    /// The account of the messages that name none. The local stack alone has this carrier: it proves nothing.
    pub simulator: Option<AccountSid>,
}

impl Receivers {
    /// Hands a request to a carrier, which checks who sent it, and only then reads it.
    pub fn receive(
        &self,
        carrier: CarrierName,
        request: &Request<'_>,
    ) -> Result<Arrival, RequestError> {
        match carrier {
            CarrierName::Twilio => twilio::receive(self.twilio.as_ref(), request),
            CarrierName::Simulator => simulator::receive(self.simulator, request),
        }
    }
}
