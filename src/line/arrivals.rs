//! Connections that are accepted and not admitted yet: those of proxies, until it is known whom
//! they are for.
//!
//! Most headers are there when their connection is accepted. The others are waited for in the
//! acceptor's poll, up to a bound and not for long. A connection that says only that its proxy is
//! well waits here for its first byte: a health check ends without one, and costs no worker
//! anything.

use std::os::fd::AsFd as _;
use std::time::Instant;

use mio::event::{Event, Source as _};
use mio::{Interest, Registry, Token};
use powd_core::Difficulty;
use slab::Slab;

use crate::sockets::{Introduced, Introduction, Origin, PATIENCE, Proxies, Stream, WAITING};

/// A connection with all that is known of it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: Stream,
    /// Where it comes from; of a proxy's connection, where its client is.
    pub(super) origin: Origin,
    pub(super) difficulty: Difficulty,
}

/// What becomes of a connection.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It can be admitted.
    Known(Arrival),
    /// It is waited for, or has ended without a word.
    Nothing,
    /// It is closed: a proxy is there, and no header.
    Broken(Origin),
    /// It is closed: too many are waited for.
    Crowded,
}

/// Whose headers are waited for.
#[derive(Debug)]
pub(super) struct Arrivals {
    proxies: Proxies,
    waiting: Slab<Waiting>,
    /// The token of the first place.
    first: usize,
}

#[derive(Debug)]
struct Waiting {
    arrival: Arrival,
    introduction: Introduction,
    until: Instant,
}

impl Arrivals {
    /// Their tokens in the acceptor's poll are from `first` on.
    pub(super) fn new(proxies: Proxies, first: usize) -> Arrivals {
        Arrivals {
            proxies,
            waiting: Slab::new(),
            first,
        }
    }

    /// A connection was accepted.
    pub(super) fn take(&mut self, arrival: Arrival, registry: &Registry) -> Outcome {
        if !self.proxies.include(arrival.origin) {
            return Outcome::Known(arrival);
        }
        let mut waiting = Waiting {
            introduction: Introduction::by(arrival.origin),
            arrival,
            until: Instant::now() + PATIENCE,
        };
        match waiting.look(false) {
            Some(end) => waiting.end(end),
            None if self.waiting.len() == WAITING => Outcome::Crowded,
            None => {
                let place = self.waiting.vacant_entry();
                let token = Token(self.first + place.key());
                let stream = &mut waiting.arrival.stream;
                // What came since is told at once, and that it has ended if it has. Without a place
                // in the poll it cannot be waited for.
                if stream
                    .register(registry, token, Interest::READABLE)
                    .is_err()
                {
                    return Outcome::Crowded;
                }
                place.insert(waiting);
                Outcome::Nothing
            }
        }
    }

    /// The poll says that something has come.
    pub(super) fn on_ready(&mut self, event: &Event, registry: &Registry) -> Outcome {
        let key = event.token().0 - self.first;
        let waiting = self.waiting.get_mut(key);
        match waiting.and_then(|waiting| waiting.look(event.is_read_closed())) {
            Some(end) => self.end(key, end, registry),
            None => Outcome::Nothing,
        }
    }

    /// When the first one has waited long enough, if any waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|(_, waiting)| waiting.until).min()
    }

    /// One whose time is over, if there is one: it is admitted if it had a header.
    pub(super) fn expire(&mut self, now: Instant, registry: &Registry) -> Option<Outcome> {
        let (key, waiting) = self.waiting.iter().find(|(_, one)| one.until <= now)?;
        let end = waiting.introduction.late();
        Some(self.end(key, end, registry))
    }

    /// One of those that wait, if there is one: nothing more of it is waited for.
    pub(super) fn give_up(&mut self, registry: &Registry) -> Option<Outcome> {
        let (key, _) = self.waiting.iter().next()?;
        let end = self.waiting[key].look(false).unwrap_or(Introduced::Gone);
        Some(self.end(key, end, registry))
    }

    fn end(&mut self, key: usize, end: Introduced, registry: &Registry) -> Outcome {
        let mut waiting = self.waiting.remove(key);
        // It gets a place in a worker's poll.
        let _ = waiting.arrival.stream.deregister(registry);
        waiting.end(end)
    }
}

impl Waiting {
    /// Looks whether what it waits for has come. `has_ended`: nothing comes behind what is there.
    fn look(&mut self, has_ended: bool) -> Option<Introduced> {
        self.introduction
            .look(self.arrival.stream.as_fd(), has_ended)
    }

    fn end(self, end: Introduced) -> Outcome {
        match end {
            Introduced::Known(origin) => Outcome::Known(Arrival {
                origin,
                ..self.arrival
            }),
            Introduced::Gone => Outcome::Nothing,
            Introduced::Broken => Outcome::Broken(self.arrival.origin),
        }
    }
}
