//! The types of a model: `loom` tries every order in which threads can see what others write to
//! them.

use loom::sync::Mutex;
use loom::sync::atomic::Ordering::{Acquire, Release};
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64};

loom::lazy_static! {
    static ref NEVER: AtomicBool = AtomicBool::new(false);
}

/// A flag that nobody sets.
pub(crate) fn never() -> &'static AtomicBool {
    &NEVER
}

/// `First` of the module `standard`. The flag, not the lock, tells readers that a value is there:
/// `OnceLock` promises them no more.
#[derive(Debug)]
pub(crate) struct First<T> {
    is_set: AtomicBool,
    value: Mutex<Option<T>>,
}

impl<T: Copy> First<T> {
    /// Without a value.
    pub(crate) fn empty() -> First<T> {
        First {
            is_set: AtomicBool::new(false),
            value: Mutex::new(None),
        }
    }

    pub(crate) fn get(&self) -> Option<T> {
        if self.is_set.load(Acquire) {
            *self.value.lock().expect("no panic")
        } else {
            None
        }
    }

    pub(crate) fn put(&self, value: T) -> T {
        let mut place = self.value.lock().expect("no panic");
        let first = *place.get_or_insert(value);
        self.is_set.store(true, Release);
        first
    }
}
