//! The board on which workers offer and find searches to help with.
//!
//! Each worker has one place on it, for the search that it is at. A worker without work of its own
//! helps for a quantum at a time, each time with the next offer behind the last one, so that all
//! offers get the same help as they come and go. Behind the workers' places are some for guests:
//! searches of other engines, which get what no client here wants. While every worker has work of
//! its own, the board costs a long search one load of a number that nobody writes, and a short one
//! nothing.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

use arc_swap::{ArcSwapOption, Guard};
use crossbeam_utils::CachePadded;
use powd_core::unstable::SharedSearch;

use super::client::Standing;
use super::parking::Parking;

/// What ends the sleep of a worker: a waker of its poll, or what a test puts in its place.
pub(crate) trait Wake: Debug + Send + Sync {
    fn wake(&self) -> io::Result<()>;
}

impl Wake for mio::Waker {
    fn wake(&self) -> io::Result<()> {
        mio::Waker::wake(self)
    }
}

/// Places for searches of other engines.
pub(crate) const GUESTS: usize = 4;

/// What workers know of each other.
#[derive(Debug)]
pub(crate) struct Board {
    /// One for each worker, then those for guests.
    places: Box<[CachePadded<Place>]>,
    wakers: Box<[Box<dyn Wake>]>,
    parking: Parking,
    /// Workers that are helping, asleep, or at something easy that they are soon done with.
    available: CachePadded<AtomicUsize>,
    /// Places with an offer: who is about to sleep need not look at all of them.
    offers: CachePadded<AtomicUsize>,
}

/// One worker's place, or a guest's.
#[derive(Debug)]
struct Place {
    /// Set by the worker whose place it is, looked at by the others after each quantum of help.
    /// Without a lock, which all helpers of one search would take from each other thousands of
    /// times a second.
    offer: ArcSwapOption<SharedSearch>,
    /// The offer is for a client that has ended its stream, or for a guest.
    background: AtomicBool,
}

/// A search to help with.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) owner: usize,
    pub(crate) search: Arc<SharedSearch>,
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
    pub(crate) fn new(wakers: impl IntoIterator<Item = Box<dyn Wake>>) -> Arc<Board> {
        let wakers: Box<[_]> = wakers.into_iter().collect();
        let place = || Place {
            offer: ArcSwapOption::empty(),
            background: AtomicBool::new(false),
        };
        Arc::new(Board {
            parking: Parking::new(wakers.len()),
            places: (0..wakers.len() + GUESTS)
                .map(|_| CachePadded::new(place()))
                .collect(),
            wakers,
            available: CachePadded::default(),
            offers: CachePadded::default(),
        })
    }

    /// Wakes worker `worker`, which has mail.
    pub(crate) fn wake(&self, worker: usize) {
        if let Err(error) = self.wakers[worker].wake() {
            tracing::error!(worker, %error, "cannot wake a worker");
        }
    }

    /// Wakes every worker.
    pub(crate) fn wake_all(&self) {
        (0..self.wakers.len()).for_each(|worker| self.wake(worker));
    }

    /// How many workers are available.
    pub(crate) fn available(&self) -> usize {
        self.available.load(Relaxed)
    }

    /// Whether a worker has nothing to do for this engine: it is available, and no other one's
    /// search is open to it.
    pub(crate) fn has_idle_worker(&self) -> bool {
        let of_workers = &self.places[..self.wakers.len()];
        self.available() > 0 && of_workers.iter().all(|place| place.offer.load().is_none())
    }

    /// The place of guest `guest`, below [`GUESTS`].
    pub(crate) fn guest(&self, guest: usize) -> usize {
        self.wakers.len() + guest
    }

    /// Whether a place is a guest's.
    pub(crate) fn is_guest(&self, place: usize) -> bool {
        place >= self.wakers.len()
    }

    /// A worker has become available, or is no longer.
    pub(crate) fn set_available(&self, available: bool) {
        if available {
            self.available.fetch_add(1, Relaxed);
        } else {
            self.available.fetch_sub(1, Relaxed);
        }
    }

    /// Puts `search` in the place of worker or guest `owner`, whatever was there, and wakes a
    /// helper.
    ///
    /// To be said again now and then while the search goes on: a helper that was woken may have
    /// found work of its own, and have woken no other.
    pub(crate) fn offer(&self, owner: usize, search: &Arc<SharedSearch>, standing: Standing) {
        let place = &self.places[owner];
        let background = standing == Standing::Background;
        if place.background.load(Relaxed) != background {
            place.background.store(background, Relaxed);
        }
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
    pub(crate) fn withdraw(&self, owner: usize, search: &Arc<SharedSearch>) {
        let place = &self.places[owner];
        if place.offers(search) {
            place.offer.store(None);
            self.offers.fetch_sub(1, Relaxed);
        }
    }

    /// The next offer of that standing behind that of worker `after` with something left to claim,
    /// or that one again.
    pub(crate) fn find(&self, after: usize, standing: Standing) -> Option<Offer> {
        if self.offers.load(Relaxed) == 0 {
            return None;
        }
        let background = standing == Standing::Background;
        let places = self.places.len();
        (1..=places)
            .map(|distance| (after + distance) % places)
            .filter(|&owner| self.places[owner].background.load(Relaxed) == background)
            .map(|owner| (owner, self.places[owner].offer.load()))
            .find(|(_, offer)| offer.as_ref().is_some_and(|search| search.is_claimable()))
            .and_then(|(owner, offer)| {
                let search = Guard::into_inner(offer)?;
                Some(Offer { owner, search })
            })
    }

    /// Whether a worker that is about to park would find something to help with.
    pub(crate) fn has_offer(&self, worker: usize) -> bool {
        [Standing::Open, Standing::Background]
            .into_iter()
            .any(|standing| self.find(worker, standing).is_some())
    }

    /// Wakes one parked worker, the nearest after place `from`. Each that finds work wakes one
    /// more: an offer costs its owner one system call, however many are parked.
    pub(crate) fn wake_helper(&self, from: usize) {
        if let Some(worker) = self.parking.take_parked(from) {
            self.wake(worker);
        }
    }

    /// Worker `worker` is about to park. It must [look for an offer](Board::has_offer) once more
    /// after this: one that was made before saw it awake, one made later wakes it.
    pub(crate) fn park(&self, worker: usize) {
        self.parking.park(worker);
    }

    /// Worker `worker` is awake, whatever woke it.
    pub(crate) fn unpark(&self, worker: usize) {
        self.parking.unpark(worker);
    }
}

#[cfg(test)]
mod tests {
    use powd_core::unstable::Ring;
    use powd_core::{Difficulty, Job, SeedLength};
    use std::num::NonZeroU64;

    use super::*;

    /// Nobody sleeps here.
    #[derive(Debug)]
    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn board(workers: usize) -> Arc<Board> {
        Board::new((0..workers).map(|_| Box::new(Nobody) as Box<dyn Wake>))
    }

    fn search() -> Arc<SharedSearch> {
        let mut search = SharedSearch::with_capacity(0);
        let job = Job {
            message: b"",
            difficulty: Difficulty::MAX,
        };
        let ring = Ring::new(SeedLength::DEFAULT, 0);
        search.begin(job, ring, 0..ring.steps(), NonZeroU64::MIN);
        Arc::new(search)
    }

    #[test]
    fn all_offers_get_the_same_help() {
        let board = board(8);
        let searches = [search(), search(), search()];
        for (owner, search) in searches.iter().enumerate() {
            board.offer(owner, search, Standing::Open);
        }
        for helper in 3..8 {
            let (mut helped, mut times) = (helper, [0; 3]);
            for _ in 0..12 {
                let Offer { owner, search } =
                    board.find(helped, Standing::Open).expect("there are three");
                assert!(Arc::ptr_eq(&search, &searches[owner]));
                helped = owner;
                times[owner] += 1;
            }
            assert_eq!(times, [4; 3], "helper {helper}");
        }
    }

    #[test]
    fn offers_of_who_has_probably_gone_are_found_only_when_asked_for() {
        let board = board(3);
        let (first, second) = (search(), search());
        board.offer(0, &first, Standing::Background);
        assert!(board.find(2, Standing::Open).is_none() && board.has_offer(2));
        board.offer(1, &second, Standing::Open);
        assert_eq!(
            board.find(2, Standing::Open).map(|offer| offer.owner),
            Some(1)
        );
        assert_eq!(
            board.find(2, Standing::Background).map(|offer| offer.owner),
            Some(0)
        );
        // Its client is open after all, or another one is.
        board.offer(0, &first, Standing::Open);
        assert_eq!(
            board.find(2, Standing::Open).map(|offer| offer.owner),
            Some(0)
        );
    }

    #[test]
    fn guests_get_what_no_client_here_wants() {
        let board = board(2);
        let (own, guests) = (search(), search());
        board.set_available(true);
        assert!(board.has_idle_worker());
        board.offer(board.guest(0), &guests, Standing::Background);
        assert!(board.find(0, Standing::Open).is_none());
        let found = board.find(0, Standing::Background).expect("the guest's");
        assert!(board.is_guest(found.owner) && !board.is_guest(1));
        assert!(board.has_idle_worker());
        board.offer(1, &own, Standing::Open);
        assert!(!board.has_idle_worker());
        board.withdraw(1, &own);
        board.set_available(false);
        assert!(!board.has_idle_worker());
    }

    #[test]
    fn only_what_is_offered_now_and_can_be_claimed_is_found() {
        let board = board(2);
        let owner_found = || board.find(1, Standing::Open).map(|offer| offer.owner);
        assert_eq!(owner_found(), None);
        let (first, second) = (search(), search());
        board.offer(0, &first, Standing::Open);
        assert_eq!(owner_found(), Some(0));
        // The second search of the same worker takes the place of its first.
        board.offer(0, &second, Standing::Open);
        board.withdraw(0, &first);
        assert!(
            board
                .find(1, Standing::Open)
                .is_some_and(|offer| Arc::ptr_eq(&offer.search, &second))
        );
        second.call_off();
        assert_eq!(owner_found(), None);
        board.withdraw(0, &second);
        board.withdraw(0, &second);
        assert_eq!(board.offers.load(Relaxed), 0);
        board.offer(0, &first, Standing::Open);
        assert_eq!(owner_found(), Some(0));
    }
}
