//! When a worker is to be woken for what other threads have put on its desk.
//!
//! To wake it is a system call, and where it shares a CPU with who wakes it, two changes of
//! threads. So it is woken once for all that comes before it looks, and who puts several things
//! there can put them all first.

use super::sync::{AtomicBool, Ordering::*};

/// Whoever puts something rings at once, or leaves it and rings soon after.
#[derive(Debug)]
pub(crate) struct Bell {
    /// The worker was woken, and has not looked yet.
    has_rung: AtomicBool,
    /// Something was put for which nobody has rung yet.
    is_due: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Bell {
        Bell {
            has_rung: AtomicBool::new(false),
            is_due: AtomicBool::new(false),
        }
    }

    /// Something was put. Whether the worker is to be woken, by who asks.
    pub(crate) fn ring(&self) -> bool {
        // The worker takes what was put before, since its own swap comes later or saw this one.
        !self.has_rung.swap(true, AcqRel)
    }

    /// Something was put, and who put it rings soon, by [`ring_if_due`](Bell::ring_if_due).
    pub(crate) fn leave(&self) {
        // A store would do. But after a store loom lets this thread's own load, in
        // `ring_if_due`, see an older value, which no memory does.
        self.is_due.swap(true, AcqRel);
    }

    /// Rings for all that was left, unless somebody else has, or the worker has come by itself.
    /// Whether the worker is to be woken, by who asks.
    pub(crate) fn ring_if_due(&self) -> bool {
        self.is_due.load(Relaxed) && self.is_due.swap(false, AcqRel) && self.ring()
    }

    /// The worker is about to take what was put.
    pub(crate) fn hear(&self) {
        self.has_rung.swap(false, AcqRel);
        self.is_due.swap(false, AcqRel);
    }
}

/// Every order in which threads can get through their steps: `make loom`.
#[cfg(test)]
mod model {
    use super::super::sync::model::{Arc, AtomicUsize, explore, thread};
    use super::*;

    /// A bell, what is on the desk beside it, and how often the worker was woken and has not
    /// looked.
    struct Scene {
        bell: Bell,
        put: AtomicUsize,
        woken: AtomicUsize,
    }

    impl Scene {
        fn new() -> Arc<Scene> {
            Arc::new(Scene {
                bell: Bell::new(),
                put: AtomicUsize::new(0),
                woken: AtomicUsize::new(0),
            })
        }

        fn wake(&self, is_to_wake: bool) {
            if is_to_wake {
                self.woken.fetch_add(1, AcqRel);
            }
        }

        fn put_and_ring(&self) {
            self.put.fetch_add(1, Relaxed);
            self.wake(self.bell.ring());
        }

        fn put_two_together(&self) {
            for _ in 0..2 {
                self.put.fetch_add(1, Relaxed);
                self.bell.leave();
            }
            for _ in 0..2 {
                self.wake(self.bell.ring_if_due());
            }
        }

        /// The worker, if it was woken: what it takes.
        fn look(&self) -> usize {
            if self.woken.swap(0, AcqRel) == 0 {
                return 0;
            }
            self.bell.hear();
            self.put.swap(0, Relaxed)
        }
    }

    #[test]
    fn nothing_is_left_on_the_desk_of_a_worker_that_sleeps() {
        explore(|| {
            let scene = Scene::new();
            let other = {
                let scene = Arc::clone(&scene);
                thread::spawn(move || scene.put_two_together())
            };
            let worker = {
                let scene = Arc::clone(&scene);
                thread::spawn(move || scene.look())
            };
            scene.put_and_ring();
            other.join().expect("no panic");
            let early = worker.join().expect("no panic");
            assert_eq!(early + scene.look(), 3);
        });
    }

    #[test]
    fn what_comes_together_wakes_once() {
        explore(|| {
            let scene = Scene::new();
            scene.put_two_together();
            assert_eq!(scene.woken.load(Relaxed), 1);
            assert_eq!(scene.look(), 2);
            scene.put_and_ring();
            scene.put_and_ring();
            assert_eq!(scene.woken.load(Relaxed), 1);
        });
    }
}
