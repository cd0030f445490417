//! Which addresses are inside, and which of them a user permits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The inside networks that may be called: networks in CIDR notation, or single addresses, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<IpNet>);

/// A part of the list is neither a network nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network in CIDR notation (10.0.0.0/8) and not an address")]
pub struct AllowedError(String);

/// The host of a URL leads to this address and to no address that may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is an inside address, and CROSSPOINT_CALL_ALLOW does not permit it")]
pub struct InsideAddress(pub IpAddr);

/// The inside networks of IPv4 (the special-purpose registry of IANA), and multicast.
const INSIDE_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network, unspecified
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, with the metadata service 169.254.169.254
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, with broadcast
];

/// All of IPv6 that is in use worldwide. Every network outside it is inside: loopback, unspecified, unique local (with
/// the metadata service fd00:ec2::254), link-local, multicast, the obsolete forms that embed an IPv4 address.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The networks within [`GLOBAL_V6`] that are inside nevertheless.
const INSIDE_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, with Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: a relay sends it on to any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// A gateway translates an address below this prefix to the IPv4 address in its last 32 bits (NAT64, RFC 6052).
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl Allowed {
    /// 127.0.0.0/8 and ::1: this machine.
    pub fn loopback() -> Allowed {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        Allowed(vec![v4.into(), IpAddr::from(Ipv6Addr::LOCALHOST).into()])
    }

    /// Whether the client may connect to the address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let inner = translated(address);
        let listed = |address: IpAddr| self.0.iter().any(|net| net.contains(&address));
        !is_inside(inner) || listed(address) || listed(inner)
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Allowed, AllowedError> {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let network = |part: &str| {
            let address = || part.parse().map(|address: IpAddr| address.into());
            let network = part.parse::<IpNet>().or_else(|_| address()).ok();
            let network = network.and_then(canonical);
            network.ok_or_else(|| AllowedError(part.to_owned()))
        };
        parts.map(network).collect::<Result<_, _>>().map(Allowed)
    }
}

/// The network as [`Allowed::permits`] compares it: IPv4 addresses are compared as IPv4, however they are written. `None`:
/// a network that begins with an IPv4 address and holds IPv6 addresses too.
fn canonical(network: IpNet) -> Option<IpNet> {
    const MAPPED_BITS: u8 = 96;
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    };
    let Some(v4) = mapped else {
        return Some(network);
    };
    let bits = network.prefix_len().checked_sub(MAPPED_BITS)?;
    Ipv4Net::new(v4, bits).ok().map(IpNet::from)
}

/// The address that a NAT64 gateway sends to in place of this one.
fn translated(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if within_v6(v6, NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => INSIDE_V4
            .iter()
            .any(|(net, bits)| Ipv4Net::new_assert(*net, *bits).contains(&v4)),
        IpAddr::V6(v6) => {
            !within_v6(v6, GLOBAL_V6) || INSIDE_V6.iter().any(|net| within_v6(v6, *net))
        }
    }
}

fn within_v6(address: Ipv6Addr, (net, bits): (Ipv6Addr, u8)) -> bool {
    Ipv6Net::new_assert(net, bits).contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allowed: &str, address: &str) -> bool {
        let allowed: Allowed = allowed.parse().unwrap();
        allowed.permits(address.parse().unwrap())
    }

    #[test]
    fn outside_addresses_alone_are_permitted_by_themselves() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits("", inside), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2600:1f00::1",
            "2a00:1450::1",
        ] {
            assert!(permits("", outside), "{outside}");
        }
    }

    #[test]
    fn a_listed_network_is_permitted_and_nothing_beside_it() {
        let list = " 10.1.0.0/16, 192.168.7.7,fd00:1::/32 ,";
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
            ("fd00:1::5", true),
            ("fd00:2::5", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(permits(list, address), expected, "{address}");
        }
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("::2", false),
        ] {
            let permitted = Allowed::loopback().permits(address.parse().unwrap());
            assert_eq!(permitted, expected, "{address}");
        }
        for (list, address) in [
            ("::ffff:10.0.0.0/104", "10.1.2.3"),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:a00:0/96", "192.168.0.1"),
        ] {
            assert!(permits(list, address), "{list} {address}");
        }
        assert!(!permits("::ffff:10.0.0.0/104", "192.168.0.1"));
        for bad in [
            "10.0.0.0/33",
            "fd00::/129",
            "localhost",
            "10.0.0.0/8;::1",
            "10.0.0",
            "::ffff:10.0.0.0/95",
        ] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }
}
