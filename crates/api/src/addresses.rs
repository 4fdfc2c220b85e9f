//! How many connections each address has, so that none of them takes all that there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::edge::{self, Network};
use crate::rates;

/// Counts connections by address; of IPv6 by network, as rates are. It holds no more addresses than
/// there are connections.
#[derive(Debug)]
pub(crate) struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
    /// Proxies hand on what many send, so they are not counted.
    trusted_proxies: Vec<Network>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Option<(Arc<Addresses>, IpAddr)>,
}

impl Addresses {
    /// Lets each address have at most so many.
    pub(crate) fn new(most: usize, trusted_proxies: Vec<Network>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most, trusted_proxies })
    }

    /// Counts one more connection of an address; `None` if it has as many as it may have.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if edge::is_among(&self.trusted_proxies, peer) {
            return Some(Place { of: None });
        }
        let network = rates::network(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { of: Some((self.clone(), network)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, network)) = &self.of else { return };
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(network).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.remove(network);
        } else {
            open.insert(*network, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_no_more_than_its_share_and_gets_back_what_it_leaves() {
        let addresses = Addresses::new(2, Vec::new());
        let first = addresses.admit(address("192.0.2.1")).unwrap();
        let second = addresses.admit(address("::ffff:192.0.2.1")).unwrap();
        assert!(addresses.admit(address("192.0.2.1")).is_none());
        assert!(addresses.admit(address("192.0.2.2")).is_some());
        drop(first);
        assert!(addresses.admit(address("192.0.2.1")).is_some());
        drop(second);
        assert!(addresses.open.lock().unwrap().is_empty(), "addresses without connections stay");
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one() {
        let addresses = Addresses::new(1, Vec::new());
        let _first = addresses.admit(address("2001:db8::1")).unwrap();
        assert!(addresses.admit(address("2001:db8::2")).is_none());
        assert!(addresses.admit(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_proxy_that_is_trusted_has_as_many_as_it_wants() {
        let addresses = Addresses::new(1, vec!["10.0.0.0/8".parse().unwrap()]);
        let places: Vec<_> = (0..10).map(|_| addresses.admit(address("10.1.2.3"))).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
