//! The messages of a batch that are under way: in what order their answers come, and how many bytes
//! they take.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use futures_util::Stream as _;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use powd_core::Difficulty;
use serde_json::Value;

use crate::engine::{Answer, Solve};
use crate::problem::Problem;

/// What a message under way takes besides its bytes, which are there twice, and its id: the search,
/// its answer, their places in queues.
const SEARCH: usize = 512;

/// The messages under way.
pub(super) struct Queue {
    items: Items,
    /// The bytes that they take.
    bytes: usize,
}

enum Items {
    Ordered(FuturesOrdered<Item>),
    Unordered(FuturesUnordered<Item>),
}

impl Queue {
    /// Answers come in the order of the messages.
    pub(super) fn ordered() -> Queue {
        Queue {
            items: Items::Ordered(FuturesOrdered::new()),
            bytes: 0,
        }
    }

    /// Answers come as they are found.
    pub(super) fn unordered() -> Queue {
        Queue {
            items: Items::Unordered(FuturesUnordered::new()),
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.items {
            Items::Ordered(items) => items.len(),
            Items::Unordered(items) => items.len(),
        }
    }

    /// The bytes that the messages take, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes += bytes(&item.id, &item.message);
        match &mut self.items {
            Items::Ordered(items) => items.push_back(item),
            Items::Unordered(items) => items.push(item),
        }
    }

    pub(super) fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Ended>> {
        let ended = ready!(match &mut self.items {
            Items::Ordered(items) => Pin::new(items).poll_next(task),
            Items::Unordered(items) => Pin::new(items).poll_next(task),
        });
        if let Some(ended) = &ended {
            self.bytes -= bytes(&ended.id, &ended.message);
        }
        Poll::Ready(ended)
    }
}

/// The bytes that a message under way takes.
fn bytes(id: &Value, message: &[u8]) -> usize {
    SEARCH + 2 * message.len() + id.as_str().map_or(0, str::len)
}

/// A message under way.
pub(super) struct Item {
    pub(super) id: Value,
    pub(super) message: Bytes,
    pub(super) difficulty: Difficulty,
    pub(super) state: ItemState,
}

pub(super) enum ItemState {
    Asked(Solve),
    Refused(Problem),
}

/// A message with what became of it.
pub(super) struct Ended {
    pub(super) id: Value,
    pub(super) message: Bytes,
    pub(super) difficulty: Difficulty,
    pub(super) outcome: Result<Answer, Problem>,
}

impl Future for Item {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Ended> {
        let outcome = match &mut self.state {
            ItemState::Asked(solve) => ready!(Pin::new(solve).poll(task)).map_err(Problem::from),
            ItemState::Refused(problem) => Err(problem.clone()),
        };
        Poll::Ready(Ended {
            id: self.id.take(),
            message: std::mem::take(&mut self.message),
            difficulty: self.difficulty,
            outcome,
        })
    }
}
