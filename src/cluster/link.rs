//! Between the workers and the thread of the cluster: what workers leave there, without waiting.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::Notify;

use crate::engine::{Appeal, Outpost};

/// Appeals that wait to be taken. More are left: their searches are done here alone.
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
    fn call(&self, appeal: &Arc<Appeal>) {
        // Full, or nobody is there any more: then it has no help.
        if self.appeals.try_send(Arc::clone(appeal)).is_ok() {
            self.news.notify_one();
        }
    }

    fn wake(&self) {
        self.news.notify_one();
    }
}
