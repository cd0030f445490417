//! The pair: an outside address and the address of ours that it writes to.

use crate::address::Address;

/// A participant's address and the proxy address that it knows the conversation by: From and To of an inbound
/// message. Invariant: both are of one channel, and they differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    address: Address,
    proxy: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error("address and proxy address are of different channels")]
    Channels,
    #[error("address and proxy address are the same")]
    Same,
}

impl Pair {
    pub fn new(address: Address, proxy: Address) -> Result<Pair, PairError> {
        if address.channel() != proxy.channel() {
            return Err(PairError::Channels);
        }
        if address == proxy {
            return Err(PairError::Same);
        }
        Ok(Pair { address, proxy })
    }

    /// The consumer's side.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Our side.
    pub fn proxy(&self) -> &Address {
        &self.proxy
    }
}
