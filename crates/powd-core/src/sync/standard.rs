//! The types that ship.

pub(crate) use std::sync::atomic::AtomicBool;
#[cfg(feature = "_shared")]
pub(crate) use std::sync::atomic::AtomicU64;

/// A flag that nobody sets.
pub(crate) fn never() -> &'static AtomicBool {
    static NEVER: AtomicBool = AtomicBool::new(false);
    &NEVER
}

/// A place for one value. The first value that is put there stays, and who sees it sees what its
/// thread wrote before.
#[cfg(feature = "_shared")]
#[derive(Debug)]
pub(crate) struct First<T>(std::sync::OnceLock<T>);

#[cfg(feature = "_shared")]
impl<T: Copy> First<T> {
    /// Without a value.
    pub(crate) fn empty() -> First<T> {
        First(std::sync::OnceLock::new())
    }

    /// The value, once there is one.
    pub(crate) fn get(&self) -> Option<T> {
        self.0.get().copied()
    }

    /// Puts `value` there, unless one is there already. Returns the one that stays.
    pub(crate) fn put(&self, value: T) -> T {
        *self.0.get_or_init(|| value)
    }
}
