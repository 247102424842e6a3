//! Between the workers and the thread of the cluster: what workers leave there, without waiting.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::Notify;

use crate::engine::{Appeal, Outpost};

/// Appeals that wait to be taken; more wait with their workers.
const WAITING: usize = 64;

/// The workers' side.
#[derive(Debug)]
pub(super) struct Link {
    appeals: SyncSender<Arc<Appeal>>,
    news: Arc<Notify>,
}

/// A link, what comes through it, and what tells of it.
pub(super) fn link() -> (Link, Receiver<Arc<Appeal>>, Arc<Notify>) {
    let (appeals, taken) = sync_channel(WAITING);
    let news = Arc::<Notify>::default();
    let link = Link {
        appeals,
        news: Arc::clone(&news),
    };
    (link, taken, news)
}

impl Outpost for Link {
    fn call(&self, appeal: &Arc<Appeal>) -> bool {
        let is_taken = self.appeals.try_send(Arc::clone(appeal)).is_ok();
        if is_taken {
            self.news.notify_one();
        }
        is_taken
    }

    fn wake(&self) {
        self.news.notify_one();
    }
}
