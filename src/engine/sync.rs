//! The atomics of what has a model: those of std, or loom's, which try every order.

#[cfg(all(loom, test))]
pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};

/// What the models are played with: by loom in every order in which threads can get through their
/// steps (`make loom`), otherwise by real threads many times, and under Miri once for each of its
/// seeds.
#[cfg(test)]
pub(crate) mod model {
    #[cfg(loom)]
    pub(crate) use loom::{model as explore, sync::Arc, sync::atomic::AtomicUsize, thread};
    #[cfg(not(loom))]
    pub(crate) use std::{sync::Arc, sync::atomic::AtomicUsize, thread};

    #[cfg(not(loom))]
    pub(crate) fn explore(once: impl Fn()) {
        let times = if cfg!(miri) { 1 } else { 1000 };
        (0..times).for_each(|_| once());
    }
}
