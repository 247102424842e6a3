//! Who gets in, and how many at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use crate::sockets::Origin;

/// Bounds on the connections of all doors together.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// The only addresses served; empty: all.
    pub(crate) allow: Vec<IpNet>,
    /// Connections open at once.
    pub(crate) max: usize,
    /// Connections open at once from one address, or from one /64 of IPv6.
    pub(crate) max_per_ip: Option<NonZeroUsize>,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too many connections.
    Busy,
    /// Too many connections from one address.
    BusyAddress,
    /// An address that is not served.
    Denied,
}

/// Counts the connections that are open, in all and by address. Asked by the doors once for each
/// connection; told by whichever thread closes one.
#[derive(Debug)]
pub(crate) struct Admission {
    bounds: Bounds,
    open: AtomicUsize,
    /// By [`origin`]. Used only with a limit per address.
    open_by_origin: Mutex<HashMap<IpAddr, usize>>,
}

/// The right to have a connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    /// Set when it is counted.
    origin: Option<IpAddr>,
}

/// What counts as one address: an IPv4 address, or a /64 of IPv6, any address of which its
/// subscriber can take (RFC 6177, RFC 8981).
fn origin(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

impl Admission {
    pub(crate) fn new(bounds: Bounds) -> Arc<Admission> {
        Arc::new(Admission {
            bounds,
            open: AtomicUsize::new(0),
            open_by_origin: Mutex::new(HashMap::new()),
        })
    }

    /// A permit for a client from there, or the reason why there is none.
    pub(crate) fn admit(self: &Arc<Self>, from: Origin) -> Result<Permit, Refusal> {
        let ip = match from {
            // A socket that takes both sees IPv4 clients as ::ffff:a.b.c.d. The listeners here do
            // not, but a limit must not hang on that.
            Origin::Address(ip) => Some(ip.to_canonical()),
            // Nothing to judge by: the permissions of the socket file have decided.
            Origin::Local => None,
        };
        let Bounds {
            allow,
            max,
            max_per_ip,
        } = &self.bounds;
        let is_allowed = |ip| allow.is_empty() || allow.iter().any(|range| range.contains(ip));
        if !ip.as_ref().is_none_or(is_allowed) {
            return Err(Refusal::Denied);
        }
        if self.open.fetch_add(1, AcqRel) >= *max {
            self.open.fetch_sub(1, AcqRel);
            return Err(Refusal::Busy);
        }
        let mut permit = Permit {
            admission: Arc::clone(self),
            origin: None,
        };
        if let (Some(max), Some(ip)) = (*max_per_ip, ip) {
            let mut by_origin = self
                .open_by_origin
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let origin = origin(ip);
            let open = by_origin.entry(origin).or_default();
            if *open >= max.get() {
                drop(by_origin);
                return Err(Refusal::BusyAddress);
            }
            *open += 1;
            permit.origin = Some(origin);
        }
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(origin) = self.origin {
            let mut by_origin = self
                .admission
                .open_by_origin
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = by_origin.get_mut(&origin) {
                *open -= 1;
                // An address without connections is forgotten: the map is bounded by the open ones.
                if *open == 0 {
                    by_origin.remove(&origin);
                }
            }
        }
        self.admission.open.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No bound at all.
    const OPEN: Bounds = Bounds {
        allow: Vec::new(),
        max: usize::MAX,
        max_per_ip: None,
    };

    fn ip(text: &str) -> Origin {
        Origin::Address(text.parse().expect("an address"))
    }

    #[test]
    fn permits_are_given_back() {
        let admission = Admission::new(Bounds { max: 2, ..OPEN });
        for _ in 0..3 {
            let held = [ip("10.0.0.1"), ip("10.0.0.2")].map(|ip| admission.admit(ip));
            assert!(held.iter().all(Result::is_ok));
            assert_eq!(admission.admit(ip("10.0.0.3")).err(), Some(Refusal::Busy));
        }
    }

    #[test]
    fn addresses_are_counted_apart_and_forgotten() {
        let admission = Admission::new(Bounds {
            max_per_ip: Some(NonZeroUsize::MIN),
            ..OPEN
        });
        let first = admission.admit(ip("10.0.0.1"));
        assert!(first.is_ok());
        assert_eq!(
            admission.admit(ip("::ffff:10.0.0.1")).err(),
            Some(Refusal::BusyAddress)
        );
        assert!(admission.admit(ip("10.0.0.2")).is_ok());
        drop(first);
        assert!(admission.admit(ip("10.0.0.1")).is_ok());
        assert!(
            admission
                .open_by_origin
                .lock()
                .expect("no panic")
                .is_empty()
        );
        assert_eq!(admission.open.load(Acquire), 0);
    }

    #[test]
    fn a_64_of_ipv6_counts_as_one_address() {
        let admission = Admission::new(Bounds {
            max_per_ip: Some(NonZeroUsize::MIN),
            ..OPEN
        });
        let _first = admission.admit(ip("2001:db8:0:1::1"));
        assert_eq!(
            admission.admit(ip("2001:db8:0:1:ffff::2")).err(),
            Some(Refusal::BusyAddress)
        );
        assert!(admission.admit(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn who_comes_over_a_socket_file_counts_to_all_and_to_no_address() {
        let admission = Admission::new(Bounds {
            allow: vec!["10.0.0.0/8".parse().expect("range")],
            max: 2,
            max_per_ip: Some(NonZeroUsize::MIN),
        });
        let _held = [(); 2].map(|()| {
            admission
                .admit(Origin::Local)
                .expect("no address to judge by")
        });
        assert_eq!(admission.admit(Origin::Local).err(), Some(Refusal::Busy));
    }

    #[test]
    fn only_the_ranges_allowed_get_in() {
        let admission = Admission::new(Bounds {
            allow: vec![
                "10.1.0.0/16".parse().expect("range"),
                "fd00::/8".parse().expect("range"),
            ],
            ..OPEN
        });
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            assert!(admission.admit(ip(allowed)).is_ok(), "{allowed}");
        }
        for denied in ["10.2.0.1", "::1", "127.0.0.1"] {
            assert_eq!(
                admission.admit(ip(denied)).err(),
                Some(Refusal::Denied),
                "{denied}"
            );
        }
    }
}
