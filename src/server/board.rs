//! The board on which workers offer and find searches to help with.
//!
//! Each worker has one place on it, for the search that it is at. A worker without work of its own takes
//! whatever is offered for a slice at a time and then looks again, so that helpers spread over the offers
//! as these come and go. While every worker has work of its own, the board costs a long search one load of
//! a number that nobody writes, and a short one nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};

use arc_swap::{ArcSwapOption, Guard};
use mio::Waker;

use crate::search::SharedSearch;

/// What workers know of each other.
#[derive(Debug)]
pub(super) struct Board {
    places: Box<[Place]>,
    /// Workers without work of their own, helping or asleep.
    available: AtomicUsize,
}

/// One worker's place, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Place {
    /// Set by the worker whose place it is, looked at by the others after each slice of help. Without a lock,
    /// which all helpers of one search would take from each other thousands of times a second.
    offer: ArcSwapOption<SharedSearch>,
    asleep: AtomicBool,
    waker: Waker,
}

impl Place {
    fn offers(&self, search: &Arc<SharedSearch>) -> bool {
        let offer = self.offer.load();
        offer
            .as_ref()
            .is_some_and(|there| Arc::ptr_eq(there, search))
    }
}

impl Board {
    /// A board for the workers with these wakers.
    pub(super) fn new(wakers: Vec<Waker>) -> Arc<Board> {
        let place = |waker| Place {
            offer: ArcSwapOption::empty(),
            asleep: AtomicBool::new(false),
            waker,
        };
        Arc::new(Board {
            places: wakers.into_iter().map(place).collect(),
            available: AtomicUsize::new(0),
        })
    }

    /// Wakes worker `worker`, which has mail.
    pub(super) fn wake(&self, worker: usize) {
        if let Err(error) = self.places[worker].waker.wake() {
            tracing::error!(worker, %error, "cannot wake a worker");
        }
    }

    /// Wakes every worker.
    pub(super) fn wake_all(&self) {
        (0..self.places.len()).for_each(|worker| self.wake(worker));
    }

    /// Whether a worker is without work of its own.
    pub(super) fn has_help(&self) -> bool {
        self.available.load(Relaxed) > 0
    }

    /// A worker has run out of work of its own, or has some again.
    pub(super) fn set_available(&self, available: bool) {
        if available {
            self.available.fetch_add(1, Relaxed);
        } else {
            self.available.fetch_sub(1, Relaxed);
        }
    }

    /// Puts `search` in the place of worker `owner`, whatever was there, and wakes a helper.
    ///
    /// To be said again now and then while the search goes on: a helper that was woken may have found work of
    /// its own, and have woken no other.
    pub(super) fn offer(&self, owner: usize, search: &Arc<SharedSearch>) {
        let place = &self.places[owner];
        if !place.offers(search) {
            place.offer.store(Some(Arc::clone(search)));
        }
        if search.is_claimable() {
            self.wake_helper(owner);
        }
    }

    /// Takes `search` from the place of worker `owner`, if it is there.
    pub(super) fn withdraw(&self, owner: usize, search: &Arc<SharedSearch>) {
        let place = &self.places[owner];
        if place.offers(search) {
            place.offer.store(None);
        }
    }

    /// An offer for worker `helper`, from its next neighbour that has one with something left to claim.
    pub(super) fn find(&self, helper: usize) -> Option<Arc<SharedSearch>> {
        let workers = self.places.len();
        (1..workers)
            .map(|distance| self.places[(helper + distance) % workers].offer.load())
            .find(|offer| offer.as_ref().is_some_and(|search| search.is_claimable()))
            .and_then(Guard::into_inner)
    }

    /// Wakes one sleeping worker, the nearest after `from`. Each that finds work wakes one more: an offer
    /// costs its owner one system call, however many sleep.
    pub(super) fn wake_helper(&self, from: usize) {
        // With that of `fall_asleep`: this sees the worker asleep, or the worker sees what was offered before.
        fence(SeqCst);
        let workers = self.places.len();
        let sleeper = (1..workers)
            .map(|distance| (from + distance) % workers)
            .find(|&worker| {
                let asleep = &self.places[worker].asleep;
                asleep.load(Relaxed) && asleep.swap(false, Relaxed)
            });
        if let Some(worker) = sleeper {
            self.wake(worker);
        }
    }

    /// Worker `worker` is about to sleep. It must look for an offer once more after this: one that was
    /// made before saw it awake, one made later wakes it.
    pub(super) fn fall_asleep(&self, worker: usize) {
        self.places[worker].asleep.store(true, Relaxed);
        fence(SeqCst);
    }

    /// Worker `worker` is awake, whatever woke it.
    pub(super) fn wake_up(&self, worker: usize) {
        self.places[worker].asleep.store(false, Relaxed);
    }
}
