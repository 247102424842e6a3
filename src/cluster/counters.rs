//! What the door of the cluster counts, and what it shows to those who watch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::node::{Counts, Refusal};
use super::peers::Peer;
use super::requests::CODES;
use crate::engine::Durations;
use crate::problem::Code;

/// Requests by `powd.solve` and `powd.verify`. Its thread adds to them, any thread reads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) replies: AtomicU64,
    errors: [AtomicU64; Code::ALL.len()],
    pub(super) durations: Durations,
    pub(super) is_connected: AtomicBool,
    /// How many times the broker was there anew.
    pub(super) connections: AtomicU64,
    /// Set by its thread now and then.
    seen: Mutex<Seen>,
}

/// What the cluster looks like from here.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) peers: Vec<Peer>,
    pub(super) helping: usize,
    pub(super) hash_rate: u64,
    pub(super) counts: Counts,
}

impl Counters {
    pub(super) fn count_error(&self, code: Code) {
        self.errors[code as usize].fetch_add(1, Relaxed);
    }

    /// Errors answered, by code.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let codes = CODES.iter();
        codes.map(|&code| (code.word(), self.errors[code as usize].load(Relaxed)))
    }

    pub(super) fn show(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    pub(super) fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// A member and its cluster, for who watches.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it is called.
    pub name: String,
    /// Whether the broker is there.
    pub is_connected: bool,
    /// This member, then the others that were heard lately.
    pub members: Vec<Peer>,
    /// Searches of other members that workers of this one are at.
    pub helping: usize,
    /// Seeds that others tried for searches of this member, as they say.
    pub help_hashes_received: u64,
    /// Those of them that were tried when the search was over already.
    pub hashes_wasted: u64,
    /// Solutions that others found.
    pub winners: u64,
    /// What others said was a solution, and was none.
    pub wrong_winners: u64,
    /// Messages that were not heard, by their reason.
    pub messages_refused: Vec<(&'static str, u64)>,
}

impl Status {
    /// Seeds per second, of all members together.
    pub fn hash_rate(&self) -> u64 {
        let rates = self.members.iter().map(|member| member.hash_rate);
        rates.fold(0, u64::saturating_add)
    }

    pub(super) fn new(name: String, me: Peer, is_connected: bool, seen: Seen) -> Status {
        let Seen {
            peers,
            helping,
            hash_rate,
            counts,
        } = seen;
        let refused = Refusal::ALL.iter();
        let me = Peer { hash_rate, ..me };
        Status {
            name,
            is_connected,
            members: std::iter::once(me).chain(peers).collect(),
            helping,
            help_hashes_received: counts.hashes_received,
            hashes_wasted: counts.hashes_wasted,
            winners: counts.winners,
            wrong_winners: counts.wrong_winners,
            messages_refused: refused
                .map(|&refusal| (refusal.word(), counts.refused[refusal as usize]))
                .collect(),
        }
    }
}
