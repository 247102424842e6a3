//! A subscription that can be closed without losing what the broker has sent already.
//!
//! The client of the broker forgets a subscription as soon as it has asked for its end, and with it
//! the messages that are on their way just then. What it does count to the end are subscriptions
//! for a number of messages. So an intake is closed in steps: first for a thousand messages more,
//! and where those do not come, for fewer. At each step the broker is known to send too slowly for
//! the rest to be on its way at once.

use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::unconstrained;

/// How many messages more are taken at each step. The first is above what can be on its way at all.
const MORE: [u64; 3] = [1024, 64, 4];

/// How long each step may take: who gets fewer messages meanwhile has less than one on its way at
/// the next.
const STEP: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Intake {
    subscriber: Subscriber,
    received: u64,
    /// The next step of its end, and when it is due.
    closing: Option<(usize, Instant)>,
    is_open: bool,
}

impl Intake {
    pub(super) fn new(subscriber: Subscriber) -> Intake {
        Intake {
            subscriber,
            received: 0,
            closing: None,
            is_open: true,
        }
    }

    /// Whether something may still come.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The next message. `None`: nothing comes any more.
    pub(super) async fn next(&mut self) -> Option<Message> {
        let message = self.subscriber.next().await;
        self.received += 1;
        self.is_open = message.is_some();
        message
    }

    /// Begins its end.
    pub(super) fn close(&mut self) {
        self.closing = Some((0, Instant::now()));
    }

    /// Goes on with its end, if that has begun: to be called again and again. It waits for nothing.
    pub(super) fn follow(&mut self) {
        let Some((step, due)) = self.closing else {
            return;
        };
        if !self.is_open || Instant::now() < due {
            return;
        }
        let telling = async {
            match MORE.get(step) {
                Some(more) => {
                    self.subscriber
                        .unsubscribe_after(self.received + more)
                        .await
                }
                None => self.subscriber.drain().await,
            }
        };
        // It fails only when the connection has ended for good: then nothing comes any more. Where
        // there is no room for the word now, it is tried again.
        if unconstrained(telling).now_or_never().is_some() {
            self.closing = (step < MORE.len()).then(|| (step + 1, Instant::now() + STEP));
        }
    }
}
