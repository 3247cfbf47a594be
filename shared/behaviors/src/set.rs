//! The sets of list behaviors: sorted once, searched by halves.

use std::net::IpAddr;

use ipnet::IpNet;

/// Elements, sorted and without repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T>(Vec<T>);

impl<T: Ord> Set<T> {
    /// Of elements in any order.
    pub fn new(mut elements: Vec<T>) -> Self {
        elements.sort_unstable();
        elements.dedup();
        Self(elements)
    }

    /// If the element is in it.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.0.binary_search_by(|own| own.borrow().cmp(element)).is_ok()
    }
}

/// A number that has a place in an order: finite, and with one zero.
#[derive(Clone, Copy, Debug)]
pub struct Finite(f64);

impl Finite {
    /// The number, unless it is infinite or not a number.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Finite {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Addresses of both families, as ranges that neither touch nor overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet(Vec<(IpAddr, IpAddr)>);

impl AddressSet {
    /// Of networks in any order.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut ranges: Vec<(IpAddr, IpAddr)> =
            networks.iter().map(|network| (network.network(), network.broadcast())).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                // An IPv4 address sorts before every IPv6 address, so no range spans both.
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// If the address is in it. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| address <= *last)
    }
}

/// A network from the service's text: with a prefix, or one address. Bits behind the prefix are ignored. A network
/// of IPv4 addresses that are written as IPv6 is one of IPv4.
pub fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpNet::V6(six) = network else { return Some(network) };
    let four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    four.map_or(Some(network), |(address, prefix)| IpNet::new(address.into(), prefix).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_both_families() {
        let networks: Vec<IpNet> = ["10.1.2.3/8", "10.0.0.0/16", "2001:db8::/32", "192.0.2.1"]
            .iter()
            .filter_map(|text| network(text))
            .collect();
        let set = AddressSet::new(&networks);
        let has = |text: &str| set.contains(text.parse().unwrap());
        assert!(
            has("10.255.255.255") && has("2001:db8:ffff::1") && has("192.0.2.1") && has("::ffff:10.0.0.1")
        );
        assert!(!has("11.0.0.0") && !has("9.255.255.255") && !has("192.0.2.2") && !has("2001:db9::"));
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("10.0.0.0/33"), None);
        assert_eq!(network("10.0"), None);
    }

    #[test]
    fn zero_has_no_sign() {
        let set = Set::new(vec![Finite::new(-0.0).unwrap()]);
        assert!(set.contains(&Finite::new(0.0).unwrap()));
        assert!(Finite::new(f64::NAN).is_none());
    }
}
