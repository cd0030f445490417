//! The key that a binding claims: a pair or a group.

use crate::address::Address;
use crate::group::Group;
use crate::pair::Pair;

/// The key by which a message finds its conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Pair(Pair),
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
            _ => Group::of_sorted(all).map(Key::Group),
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
