//! Whose requests belong together.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Who asks, in the words of RFC 8290: a flow. All that it asks for at a time shares the turns of
/// one client, as the requests of one connection of lines do, so that who asks for a hundred things
/// at once does not get a hundred times as much of the workers as who asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow(Id);

/// Those that are counted are no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(u64),
    Name(u64),
}

impl Flow {
    /// Another one each time.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Flow {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Flow(Id::Number(NEXT.fetch_add(1, Relaxed)))
    }

    /// That of whoever has this name. Two names can have the same one, which costs them no more
    /// than a share of their time.
    pub fn named(name: &str) -> Flow {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Flow(Id::Name(hasher.finish()))
    }
}
