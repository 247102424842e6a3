//! Which workers are parked, so that who offers a search wakes one of them.
//!
//! Two threads write what the other reads: a worker says that it parks, then looks for offers; an
//! owner makes an offer, then looks for parked workers. A fence between the two steps on either
//! side makes sure that at least one of them sees the other's (the store buffering of the C++
//! memory model). Without it a worker could sleep beside an offer; the model below finds that.

use crossbeam_utils::CachePadded;

use super::sync::{AtomicBool, Ordering::*, fence};

/// A flag for each worker.
#[derive(Debug)]
pub(crate) struct Parking(Box<[CachePadded<AtomicBool>]>);

impl Parking {
    /// All of `workers` are awake.
    pub(crate) fn new(workers: usize) -> Parking {
        let awake = |_| CachePadded::new(AtomicBool::new(false));
        Parking((0..workers).map(awake).collect())
    }

    /// Worker `worker` is about to park; what it looks at after this, it sees as others had left it
    /// before they looked here.
    pub(crate) fn park(&self, worker: usize) {
        self.0[worker].store(true, Relaxed);
        fence(SeqCst);
    }

    /// Worker `worker` is awake.
    pub(crate) fn unpark(&self, worker: usize) {
        self.0[worker].store(false, Relaxed);
    }

    /// The nearest parked worker after `from`, which counts as awake from now on: its caller wakes
    /// it. `from` is the worker that asks, or a number behind all workers.
    pub(crate) fn take_parked(&self, from: usize) -> Option<usize> {
        fence(SeqCst);
        let workers = self.0.len();
        (1..=workers)
            .map(|distance| (from + distance) % workers)
            .filter(|worker| *worker != from)
            .find(|&worker| {
                let parked = &self.0[worker];
                parked.load(Relaxed) && parked.swap(false, Relaxed)
            })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_parked_worker_is_taken_once_the_nearest_first() {
        let parking = Parking::new(4);
        for worker in [0, 1, 3] {
            parking.park(worker);
        }
        assert_eq!(parking.take_parked(1), Some(3));
        assert_eq!(parking.take_parked(1), Some(0));
        // Who asks is not asleep.
        assert_eq!(parking.take_parked(1), None);
        assert_eq!(parking.take_parked(4), Some(1));
        parking.park(1);
        parking.unpark(1);
        assert_eq!(parking.take_parked(0), None);
    }
}

/// Every order in which two threads can get through their steps: `make loom`.
#[cfg(test)]
mod model {
    use super::super::sync::model::{Arc, AtomicUsize, explore, thread};
    use super::*;

    #[test]
    fn no_worker_sleeps_beside_an_offer() {
        explore(|| {
            let parking = Arc::new(Parking::new(2));
            let offers = Arc::new(AtomicUsize::new(0));
            let owner = {
                let (parking, offers) = (Arc::clone(&parking), Arc::clone(&offers));
                thread::spawn(move || {
                    offers.store(1, Relaxed);
                    parking.take_parked(0)
                })
            };
            parking.park(1);
            let sees_offer = offers.load(Relaxed) > 0;
            let woken = owner.join().expect("no panic");
            assert!(sees_offer || woken == Some(1));
        });
    }

    #[test]
    fn two_offers_wake_two_workers() {
        explore(|| {
            let parking = Arc::new(Parking::new(3));
            parking.park(1);
            parking.park(2);
            let other = {
                let parking = Arc::clone(&parking);
                thread::spawn(move || parking.take_parked(0))
            };
            let one = parking.take_parked(0);
            let two = other.join().expect("no panic");
            let mut woken = [one, two];
            woken.sort_unstable();
            assert_eq!(woken, [Some(1), Some(2)]);
        });
    }
}
