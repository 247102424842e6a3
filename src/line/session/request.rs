//! The request that is being answered, and where it is kept.

use std::time::{Duration, Instant};

/// A request whose message lies at the front of the input.
#[derive(Debug)]
pub(crate) struct Request<T> {
    /// Bytes of the message.
    pub(super) length: usize,
    /// Bytes to take from the input when it is answered.
    pub(super) taken: usize,
    pub(super) since: Instant,
    pub(super) task: T,
    /// Whether it waits for helpers.
    pub(super) stalled: bool,
}

impl<T> Request<T> {
    /// How long ago it was received. Most are answered in the round that they came in, which is
    /// what the clock is read in; that takes a comparison, a difference of times a call.
    #[inline]
    pub(super) fn age(&self, now: Instant) -> Duration {
        if self.since == now {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.since)
        }
    }
}

/// Room for a request.
type Room<T> = Box<Option<Request<T>>>;

/// The request at hand, if there is one.
///
/// Most connections are idle most of the time, and a request is nearly half of what is known of a
/// connection. So the room for it is lent, as buffers are: by [`Rooms`], from the first request of
/// a turn to the end of the turn that leaves none.
#[derive(Debug)]
pub(super) struct Slot<T>(Option<Room<T>>);

impl<T> Slot<T> {
    pub(super) const EMPTY: Slot<T> = Slot(None);

    #[inline]
    pub(super) fn get(&self) -> Option<&Request<T>> {
        self.0.as_ref()?.as_ref().as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut Request<T>> {
        self.0.as_mut()?.as_mut().as_mut()
    }

    /// Keeps `request`.
    #[inline]
    pub(super) fn put(&mut self, request: Request<T>, rooms: &mut Rooms<T>) {
        let room = self.0.get_or_insert_with(|| rooms.lend());
        **room = Some(request);
    }

    /// Leaves none. The room stays, for the next one.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Request<T>> {
        self.0.as_mut()?.take()
    }

    /// Gives the room back if there is no request.
    #[inline]
    pub(super) fn settle(&mut self, rooms: &mut Rooms<T>) {
        if let Some(room) = self.0.take_if(|room| room.is_none()) {
            rooms.0.push(room);
        }
    }
}

/// The free rooms of one worker, last in, first out. They are made when first needed and then kept.
#[derive(Debug)]
pub(crate) struct Rooms<T>(Vec<Room<T>>);

impl<T> Rooms<T> {
    pub(crate) fn new() -> Rooms<T> {
        Rooms(Vec::new())
    }

    fn lend(&mut self) -> Room<T> {
        self.0.pop().unwrap_or_default()
    }
}
