//! `--remote`: addresses and networks of peers.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::misplaced::{Misplaced, end_of, rest_from};

/// The addresses that share their first bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::filter) struct Network {
    /// The lowest of them; an IPv4 address is not mapped to IPv6.
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Returns whether an address is in the network. One of IPv4 that is mapped to IPv6 counts as the former.
    pub(in crate::filter) fn contains(self, address: IpAddr) -> bool {
        first(address.to_canonical(), self.bits) == self.first
    }
}

impl FromStr for Network {
    type Err = Misplaced;

    /// Parses an address, or one followed by a slash and a number of bits (CIDR, RFC 4632 section 3.1).
    fn from_str(given: &str) -> Result<Self, Misplaced> {
        let (address, bits) = given
            .split_once('/')
            .map_or((given, None), |(address, bits)| (address, Some(bits)));
        let parsed: IpAddr = address.parse().map_err(|_invalid| wrong_address(given, address))?;
        let width = width(parsed);
        let given_bits = bits.map_or(Ok(width), |bits| {
            parse_bits(bits, width).ok_or_else(|| {
                let reason = format!("wanted a number of bits from 0 to {width}");
                Misplaced::new("network", given, bits, reason)
            })
        })?;
        let network = first(parsed, given_bits);
        if network != parsed {
            let reason = format!("an address has bits beyond the first {given_bits}; wanted {network}/{given_bits}");
            return Err(Misplaced::new("network", given, bits.unwrap_or(given), reason));
        }
        Ok(canonical(network, given_bits))
    }
}

/// Returns the network that has an IPv4 prefix instead of one that is mapped to IPv6.
fn canonical(first: IpAddr, bits: u32) -> Network {
    const MAPPED_BITS: u32 = 96;
    match (first.to_canonical(), bits.checked_sub(MAPPED_BITS)) {
        (canonical @ IpAddr::V4(_), Some(bits)) if first.is_ipv6() => Network { first: canonical, bits },
        _ => Network { first, bits },
    }
}

/// Returns the address with all but the first `bits` cleared; as it is if it has no more.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    let host_bits = width(address).saturating_sub(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// Returns the number of bits of an address.
const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

fn parse_bits(text: &str, width: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|bits| digits && *bits <= width)
}

/// Returns the error for an address that cannot be parsed, at the first character that no address has, or the first number
/// that is too large.
fn wrong_address(given: &str, address: &str) -> Misplaced {
    if let (Ok(_), Some((_, port))) = (address.parse::<SocketAddr>(), address.rsplit_once(':')) {
        return Misplaced::new("network", given, port, "wanted an address without a port");
    }
    let is_v6 = address.contains(':');
    let rest = rest_from(address, |character| match character {
        '.' => true,
        ':' => is_v6,
        _ => character.is_digit(if is_v6 { 16 } else { 10 }),
    });
    let place = if rest.is_empty() {
        let wrong = |part: &&str| {
            if is_v6 {
                part.len() > 4 && !part.contains('.')
            } else {
                part.parse::<u8>().is_err()
            }
        };
        let parts = || address.split(if is_v6 { ':' } else { '.' });
        parts()
            .find(wrong)
            .or_else(|| parts().nth(if is_v6 { 8 } else { 4 }))
            .unwrap_or_else(|| end_of(address))
    } else {
        rest
    };
    Misplaced::new(
        "network",
        given,
        place,
        "wanted an address or a network such as 10.0.0.0/8 or fd00::/8",
    )
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_network_of_ipv4_has_the_addresses_that_share_its_bits(address: u32, at in 0_u32..32, bits in 0_u32..=32) {
            let first = u64::from(address) >> (32 - bits) << (32 - bits);
            let text = format!("{}/{bits}", Ipv4Addr::from_bits(u32::try_from(first).unwrap()));
            let other = Ipv4Addr::from_bits(address ^ (1 << (31 - at)));
            prop_assert!(network(&text).contains(Ipv4Addr::from_bits(address).into()));
            prop_assert_eq!(network(&text).contains(other.into()), at >= bits);
            prop_assert_eq!(network(&text).contains(other.to_ipv6_mapped().into()), at >= bits);
        }

        #[test]
        fn a_network_of_ipv6_has_the_addresses_that_share_its_bits(address: u128, at in 0_u32..128, bits in 1_u32..=128) {
            let first = address >> (128 - bits) << (128 - bits);
            let text = format!("{}/{bits}", Ipv6Addr::from_bits(first));
            let other = Ipv6Addr::from_bits(address ^ (1 << (127 - at)));
            prop_assume!(Ipv6Addr::from_bits(first).to_ipv4_mapped().is_none() && other.to_ipv4_mapped().is_none());
            prop_assume!(Ipv6Addr::from_bits(address).to_ipv4_mapped().is_none());
            prop_assert!(network(&text).contains(Ipv6Addr::from_bits(address).into()));
            prop_assert_eq!(network(&text).contains(other.into()), at >= bits);
        }

        #[test]
        fn an_address_is_the_network_of_itself(address: IpAddr, other: IpAddr) {
            prop_assert!(network(&address.to_string()).contains(address));
            prop_assert_eq!(network(&address.to_string()).contains(other), address.to_canonical() == other.to_canonical());
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            drop(text.parse::<Network>().map_err(|error| error.to_string()));
        }
    }

    #[test]
    fn every_address_is_in_the_network_of_no_bits_of_its_version() {
        let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse::<IpAddr>().unwrap());
        assert!(network("0.0.0.0/0").contains(v4) && !network("0.0.0.0/0").contains(v6));
        assert!(!network("::/0").contains(v4) && network("::/0").contains(v6));
    }

    #[test]
    fn a_mapped_network_is_one_of_ipv4() {
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1/32"));
    }

    #[test]
    fn another_network_is_marked_where_it_is_wrong() {
        for (given, column) in [
            ("", 0),
            ("localhost", 0),
            ("10.0.0", 6),
            ("10.0.0.256/8", 7),
            ("10.0.0.0.0", 9),
            ("10.0..0", 5),
            ("10.0.0.0/33", 9),
            ("10.0.0.0/", 9),
            ("10.0.0.0/+8", 9),
            ("10.0.0.0/8/8", 9),
            ("10.0.0.1/8", 9),
            ("fd00::g", 6),
            ("fd00::12345/8", 6),
            ("fd00::/129", 7),
            ("fd00::1/64", 8),
            ("1:2:3:4:5:6:7:8:9", 16),
            ("127.0.0.1:8443", 10),
            ("[::1]:443", 6),
            ("[::1]", 0),
        ] {
            let error = given.parse::<Network>().unwrap_err().to_string();
            let mark = format!("\n    {given}\n    {:column$}^\n", "");
            assert!(error.contains(&mark), "{given}: {error}");
        }
        let error = "10.0.0.1/8".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("wanted 10.0.0.0/8"), "{error}");
    }
}
