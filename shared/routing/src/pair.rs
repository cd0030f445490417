//! What a binding is keyed by: a pair, or a group.

use crate::Address;

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

/// The specification's bound on the addresses of a group conversation, ours included.
pub const GROUP_ADDRESSES_MAX: usize = 20;

/// The sorted set of all addresses on a group message: sender, our number, every other recipient.
/// Invariant: at least three, no more than [`GROUP_ADDRESSES_MAX`], sorted, distinct, of one channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Vec<Address>);

impl Group {
    pub fn addresses(&self) -> &[Address] {
        &self.0
    }
}

/// What an inbound message is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Pair(Pair),
    /// Nothing binds a group yet: such a message is unbound, and asks for no conversation.
    Group(Group),
}

impl Key {
    /// `others` are the recipients besides `to`. A group with one outside member is the pair.
    /// `None` where no conversation could ever hold it: too many addresses, channels mixed, or a number that wrote
    /// to itself.
    pub fn of(from: &Address, to: &Address, others: &[Address]) -> Option<Key> {
        let mut all: Vec<Address> = others.iter().chain([from, to]).cloned().collect();
        all.sort();
        all.dedup();
        if all.iter().any(|a| a.channel() != to.channel()) {
            return None;
        }
        match all.len() {
            2 => Pair::new(from.clone(), to.clone()).ok().map(Key::Pair),
            3..=GROUP_ADDRESSES_MAX => Some(Key::Group(Group(all))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn a_group_with_one_outside_member_is_the_pair() {
        let (from, to) = (a("+15550001111"), a("+15550002222"));
        let pair = Key::Pair(Pair::new(from.clone(), to.clone()).unwrap());
        assert_eq!(Key::of(&from, &to, &[]), Some(pair.clone()));
        assert_eq!(Key::of(&from, &to, &[to.clone(), from.clone()]), Some(pair));
    }

    #[test]
    fn a_group_is_a_sorted_set() {
        let (x, y, z) = (a("+15550001111"), a("+15550002222"), a("+15550003333"));
        let one = Key::of(&x, &y, std::slice::from_ref(&z));
        assert_eq!(one, Key::of(&z, &y, &[x.clone(), x.clone()]));
        assert!(matches!(one, Some(Key::Group(g)) if g.addresses() == [x, y, z]));
    }

    #[test]
    fn what_nothing_could_hold_has_no_key() {
        let (x, y) = (a("+15550001111"), a("whatsapp:+15550001111"));
        assert_eq!(Key::of(&x, &x, &[]), None);
        assert_eq!(Key::of(&x, &y, &[]), None);
        let many: Vec<Address> = (0..19).map(|n| a(&format!("+155500044{n:02}"))).collect();
        assert_eq!(Key::of(&x, &a("+15550002222"), &many), None);
    }
}
