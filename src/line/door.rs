//! The side of a worker that has line connections: what they share, and how they are made.

use std::sync::Arc;

use powd_core::Difficulty;

use super::buffers::Pool;
use super::connection::Connection;
use super::counters::Counters;
use super::options::Options;
use super::session::{Rooms, Shelf};
use crate::admission::Permit;
use crate::engine::{Context, Door, Durations, Host as _, Task};
use crate::protocol::{ErrorLine, Reply};
use crate::sockets::Stream;

/// A connection on its way from the acceptor to a worker.
#[derive(Debug)]
pub(crate) struct Handoff {
    pub(crate) stream: Stream,
    pub(crate) difficulty: Difficulty,
    pub(crate) permit: Permit,
}

/// What the connections of one worker share. All but the buffers is allocated at its start; they
/// are made when first needed and then kept.
#[derive(Debug)]
pub(crate) struct LineDoor {
    pub(crate) options: Arc<Options>,
    counters: Arc<Counters>,
    durations: Arc<Durations>,
    pool: Pool,
    rooms: Rooms<Task>,
}

impl LineDoor {
    pub(crate) fn new(
        options: Arc<Options>,
        counters: Arc<Counters>,
        durations: Arc<Durations>,
    ) -> LineDoor {
        let max = options.limits.max_message_bytes.get();
        LineDoor {
            pool: Pool::new(
                options.framing.request_room(max),
                max + Reply::OVERHEAD + ErrorLine::MAX_BYTES,
            ),
            rooms: Rooms::new(),
            options,
            counters,
            durations,
        }
    }

    pub(crate) fn shelf(&mut self) -> Shelf<'_, Task> {
        Shelf {
            options: &self.options,
            counters: &self.counters,
            durations: &self.durations,
            pool: &mut self.pool,
            rooms: &mut self.rooms,
        }
    }
}

impl Door for LineDoor {
    type Handoff = Handoff;
    type Client = Connection<Stream, Task>;

    fn open(&mut self, handoff: Handoff, context: &Context) -> Self::Client {
        self.counters.connections_opened.add(1);
        Connection::new(
            handoff.stream,
            handoff.difficulty,
            handoff.permit,
            &self.options,
            context.now(),
        )
    }
}
