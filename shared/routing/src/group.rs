//! The group: all addresses on a group message.

use crate::address::Address;

/// The specification's bound on the addresses of a group conversation, ours included.
pub const GROUP_ADDRESSES_MAX: usize = 20;

/// The sorted set of all addresses on a group message: sender, our number, every other recipient.
/// Invariant: at least three, no more than [`GROUP_ADDRESSES_MAX`], sorted, distinct, of one channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Vec<Address>);

impl Group {
    /// `addresses`: sorted, distinct, of one channel. `None`: fewer than three, or too many.
    pub(crate) fn of_sorted(addresses: Vec<Address>) -> Option<Group> {
        let fits = (3..=GROUP_ADDRESSES_MAX).contains(&addresses.len());
        fits.then_some(Group(addresses))
    }

    pub fn addresses(&self) -> &[Address] {
        &self.0
    }
}
