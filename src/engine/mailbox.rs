//! The way of a door's new clients to a worker.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::client::Door;
use super::counters::Counters;
use super::shared::Shared;

/// A door's way to one worker. Only its own thread uses it.
#[derive(Debug)]
pub struct Mailbox<D: Door> {
    worker: usize,
    cpu: Option<usize>,
    sender: Sender<D::Handoff>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    /// Something was put in since the worker was woken last.
    has_mail: bool,
    /// Clients that were put in since the start.
    handed: u64,
}

impl<D: Door> Mailbox<D> {
    pub(crate) fn new(
        worker: usize,
        cpu: Option<usize>,
        sender: Sender<D::Handoff>,
        shared: Arc<Shared>,
    ) -> Mailbox<D> {
        Mailbox {
            worker,
            cpu,
            sender,
            counters: Arc::clone(&shared.counters[worker]),
            shared,
            has_mail: false,
            handed: 0,
        }
    }

    /// Puts a client in. The worker hears of it by [`Mailbox::wake`], once for many.
    pub fn put(&mut self, handoff: D::Handoff) {
        self.shared.client_comes();
        // It fails only when that worker has died; then a drain has begun.
        if self.sender.send(handoff).is_ok() {
            self.has_mail = true;
            self.handed += 1;
        } else {
            self.shared.client_goes();
        }
    }

    /// The CPU that the worker was bound to at its start, if it was.
    pub fn cpu(&self) -> Option<usize> {
        self.cpu
    }

    /// Wakes the worker if something was put in.
    pub fn wake(&mut self) {
        if std::mem::take(&mut self.has_mail) {
            self.shared.board.wake(self.worker);
        }
    }

    /// Clients of this door that the worker has, or is about to get.
    pub fn clients(&self) -> u64 {
        self.handed
            .saturating_sub(self.counters.handoffs_closed.read())
    }
}

/// The worker with the lowest `load`, among equals the first one from `first` on. Not simply the
/// next in turn: with two workers and a health check that comes and goes before each client, one
/// would get all clients.
pub(crate) fn least_loaded(workers: usize, first: usize, load: impl Fn(usize) -> u64) -> usize {
    (0..workers)
        .map(|step| (first + step) % workers)
        .min_by_key(|&worker| load(worker))
        .expect("an engine has a worker")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers with clients, and the one after the last that got one.
    struct Workers {
        clients: [u64; 4],
        next: usize,
    }

    impl Workers {
        fn take_one(&mut self) -> usize {
            let worker = least_loaded(4, self.next, |worker| self.clients[worker]);
            self.clients[worker] += 1;
            self.next = (worker + 1) % 4;
            worker
        }
    }

    #[test]
    fn workers_get_clients_in_turn_however_many_come_and_go_between() {
        let mut workers = Workers {
            clients: [0; 4],
            next: 0,
        };
        let turns: Vec<usize> = (0..8).map(|_| workers.take_one()).collect();
        assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3]);
        for between in 1..4 {
            let before = workers.clients;
            for _ in 0..8 {
                for _ in 0..between {
                    let left = workers.take_one();
                    workers.clients[left] -= 1;
                }
                workers.take_one();
            }
            let stayed: Vec<u64> = (0..4)
                .map(|worker| workers.clients[worker] - before[worker])
                .collect();
            assert_eq!(stayed, [2; 4], "{between} between");
        }
    }
}
