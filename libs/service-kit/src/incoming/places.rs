//! Places for connections: so many in all, and so many for one address, so that one host cannot
//! take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The places of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place that is taken; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: Option<IpAddr>,
}

impl Places {
    /// No bound for one address where `per_address_max` is 0.
    pub(super) fn new(max: usize, per_address_max: usize) -> Self {
        Self(Arc::new(Shared { max, per_address_max, taken: Mutex::default() }))
    }

    /// A place for a connection from `address`, if there is one. On loopback all callers share an
    /// address, and only the bound on all of them holds.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let counted = address.map(|one| one.to_canonical());
        let address = counted.filter(|one| self.0.per_address_max > 0 && !one.is_loopback());
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.0.max {
            return None;
        }
        if let Some(address) = address {
            let of_address = taken.by_address.entry(address).or_default();
            if *of_address >= self.0.per_address_max {
                return None;
            }
            *of_address += 1;
        }
        taken.all += 1;
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(of_address) = taken.by_address.get_mut(&address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let places = Places::new(4, 2);
        let (near, far) = (at("192.0.2.1"), at("192.0.2.2"));
        let first = [places.take(near), places.take(near)];
        assert!(first.iter().all(Option::is_some));
        assert!(places.take(near).is_none());
        // Nor by writing its address in another way.
        assert!(places.take(at("::ffff:192.0.2.1")).is_none());
        let others = [places.take(far), places.take(far)];
        assert!(others.iter().all(Option::is_some));
        assert!(places.take(at("192.0.2.3")).is_none(), "all are taken");
        drop(first);
        assert!(places.take(near).is_some());
    }

    #[test]
    fn callers_on_this_machine_share_an_address_and_not_its_bound() {
        let places = Places::new(10, 1);
        let taken: Vec<_> = (0..10).map_while(|_| places.take(at("127.0.0.1"))).collect();
        assert_eq!(taken.len(), 10);
        assert!(places.take(None).is_none());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_left() {
        let places = Places::new(10, 2);
        drop(places.take(at("192.0.2.1")));
        assert!(places.0.taken.lock().unwrap().by_address.is_empty());
    }
}
