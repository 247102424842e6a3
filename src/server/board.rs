//! The board on which workers offer and find searches to help with.
//!
//! Each worker has one place on it, for the search that it is at. A worker without work of its own helps
//! for a slice at a time, each time with the next offer behind the last one, so that all offers get the same help
//! as they come and go. While every worker has work of its own, the board costs a long search one load of
//! a number that nobody writes, and a short one nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence};

use arc_swap::{ArcSwapOption, Guard};
use crossbeam_utils::CachePadded;
use mio::Waker;

use powd_core::unstable::SharedSearch;

/// What workers know of each other.
#[derive(Debug)]
pub(super) struct Board {
    places: Box<[CachePadded<Place>]>,
    /// Workers that are helping, asleep, or at something easy that they are soon done with.
    available: CachePadded<AtomicUsize>,
    /// Places with an offer: who is about to sleep need not look at all of them.
    offers: CachePadded<AtomicUsize>,
}

/// One worker's place.
#[derive(Debug)]
struct Place {
    /// Set by the worker whose place it is, looked at by the others after each slice of help. Without a lock,
    /// which all helpers of one search would take from each other thousands of times a second.
    offer: ArcSwapOption<SharedSearch>,
    waker: Waker,
    /// Written at each sleep, apart from what others read for each slice of help.
    asleep: CachePadded<AtomicBool>,
}

/// A search to help with.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) owner: usize,
    pub(super) search: Arc<SharedSearch>,
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
            waker,
            asleep: CachePadded::default(),
        };
        Arc::new(Board {
            places: wakers
                .into_iter()
                .map(place)
                .map(CachePadded::new)
                .collect(),
            available: CachePadded::default(),
            offers: CachePadded::default(),
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

    /// Whether a worker is available. Not whether another one is: who asks is at hard work.
    pub(super) fn has_help(&self) -> bool {
        self.available.load(Relaxed) > 0
    }

    /// A worker has become available, or is no longer.
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
            let before = place.offer.swap(Some(Arc::clone(search)));
            if before.is_none() {
                self.offers.fetch_add(1, Relaxed);
            }
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
            self.offers.fetch_sub(1, Relaxed);
        }
    }

    /// The next offer behind that of worker `after` with something left to claim, or that one again.
    pub(super) fn find(&self, after: usize) -> Option<Offer> {
        if self.offers.load(Relaxed) == 0 {
            return None;
        }
        let workers = self.places.len();
        (1..=workers)
            .map(|distance| (after + distance) % workers)
            .map(|owner| (owner, self.places[owner].offer.load()))
            .find(|(_, offer)| offer.as_ref().is_some_and(|search| search.is_claimable()))
            .and_then(|(owner, offer)| {
                let search = Guard::into_inner(offer)?;
                Some(Offer { owner, search })
            })
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

#[cfg(test)]
mod tests {
    use super::super::make_poll;
    use super::*;
    use powd_core::unstable::{Ring, whole_batches};
    use powd_core::{Difficulty, Job, SeedLength};

    fn board(workers: usize) -> Arc<Board> {
        let waker = |_| make_poll().expect("two descriptors are free").1;
        Board::new((0..workers).map(waker).collect())
    }

    fn search() -> Arc<SharedSearch> {
        let mut search = SharedSearch::with_capacity(0);
        let job = Job {
            message: b"",
            difficulty: Difficulty::MAX,
        };
        search.begin(job, Ring::new(SeedLength::DEFAULT, 0), 0, whole_batches(1));
        Arc::new(search)
    }

    #[test]
    fn all_offers_get_the_same_help() {
        let board = board(8);
        let searches = [search(), search(), search()];
        for (owner, search) in searches.iter().enumerate() {
            board.offer(owner, search);
        }
        for helper in 3..8 {
            let (mut helped, mut times) = (helper, [0; 3]);
            for _ in 0..12 {
                let Offer { owner, search } = board.find(helped).expect("there are three");
                assert!(Arc::ptr_eq(&search, &searches[owner]));
                helped = owner;
                times[owner] += 1;
            }
            assert_eq!(times, [4; 3], "helper {helper}");
        }
    }

    #[test]
    fn only_what_is_offered_now_and_can_be_claimed_is_found() {
        let board = board(2);
        let owner_found = || board.find(1).map(|offer| offer.owner);
        assert_eq!(owner_found(), None);
        let (first, second) = (search(), search());
        board.offer(0, &first);
        assert_eq!(owner_found(), Some(0));
        // The second search of the same worker takes the place of its first.
        board.offer(0, &second);
        board.withdraw(0, &first);
        assert!(
            board
                .find(1)
                .is_some_and(|offer| Arc::ptr_eq(&offer.search, &second))
        );
        second.call_off();
        assert_eq!(owner_found(), None);
        board.withdraw(0, &second);
        board.withdraw(0, &second);
        assert_eq!(board.offers.load(Relaxed), 0);
        board.offer(0, &first);
        assert_eq!(owner_found(), Some(0));
    }
}
