//! The timetable of the open loop: each connection's requests are due at equal distances, whether the one
//! before was answered or not. What falls behind is sent late and keeps its due time, so that the latency
//! of a stalled server includes the wait that its users would have had.
//!
//! It knows connections by their place in the thread's list. Times are nanoseconds since the run began.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When each connection's next request is due.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two requests of one connection.
    interval: f64,
    /// Between the first requests of neighbouring connections.
    stagger: f64,
    /// By connection; `None` before it was open for the first time.
    next: Vec<Option<f64>>,
    /// Connections that only wait for their time, soonest first; each at most once.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    is_waiting: Vec<bool>,
}

impl Pace {
    /// `rate` requests per second in all over `connections`, of which this thread has `own`.
    pub(super) fn new(rate: f64, connections: usize, own: usize) -> Pace {
        let interval = connections as f64 / rate * 1e9;
        Pace {
            interval,
            stagger: interval / own as f64,
            next: vec![None; own],
            waiting: BinaryHeap::new(),
            is_waiting: vec![false; own],
        }
    }

    /// Puts a connection on the timetable, which it keeps if it was on it before.
    pub(super) fn start(&mut self, connection: usize, now: u64) {
        let first = now as f64 + self.stagger * connection as f64;
        self.next[connection].get_or_insert(first);
    }

    /// The time at which the next request of `connection` was due, if that has come; it is then taken.
    pub(super) fn take(&mut self, connection: usize, now: u64) -> Option<u64> {
        let due = self.next[connection].filter(|&due| due <= now as f64)?;
        self.next[connection] = Some(due + self.interval);
        Some(due as u64)
    }

    /// Lets `connection`, which has room for a request, wait until one is due.
    pub(super) fn wait(&mut self, connection: usize) {
        if let Some(due) = self.next[connection]
            && !std::mem::replace(&mut self.is_waiting[connection], true)
        {
            self.waiting.push(Reverse((due.ceil() as u64, connection)));
        }
    }

    /// When the first waiting connection is due.
    pub(super) fn first_due(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((due, _))| *due)
    }

    /// A waiting connection whose time has come. It waits no longer.
    pub(super) fn pop(&mut self, now: u64) -> Option<usize> {
        let &Reverse((due, connection)) = self.waiting.peek()?;
        if due > now {
            return None;
        }
        self.waiting.pop();
        self.is_waiting[connection] = false;
        Some(connection)
    }

    /// Requests of `connection` that were due before `end` and not taken, and the time of the first.
    pub(super) fn overdue(&self, connection: usize, end: u64) -> Option<(u64, u64)> {
        let due = self.next[connection].filter(|&due| due < end as f64)?;
        let requests = ((end as f64 - due) / self.interval) as u64 + 1;
        Some((requests, due as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_over_all_connections() {
        let mut pace = Pace::new(1000.0, 10, 10);
        for connection in 0..10 {
            pace.start(connection, 0);
            pace.wait(connection);
        }
        let mut times = Vec::new();
        while let Some(now) = pace.first_due().filter(|&due| due < 1_000_000_000) {
            let connection = pace.pop(now).expect("due");
            times.push(pace.take(connection, now).expect("due"));
            pace.wait(connection);
        }
        assert_eq!(times.len(), 1000);
        assert!(times.windows(2).all(|two| two[1] - two[0] == 1_000_000));
    }

    #[test]
    fn late_requests_keep_their_due_time() {
        let mut pace = Pace::new(1000.0, 1, 1);
        pace.start(0, 5);
        pace.start(0, 77);
        let now = 3_500_000;
        assert_eq!(pace.overdue(0, now), Some((4, 5)));
        let taken: Vec<u64> = std::iter::from_fn(|| pace.take(0, now)).collect();
        assert_eq!(taken, [5, 1_000_005, 2_000_005, 3_000_005]);
        assert_eq!(pace.overdue(0, now), None);
    }

    #[test]
    fn a_connection_waits_once() {
        let mut pace = Pace::new(1000.0, 1, 1);
        pace.wait(0);
        assert_eq!(pace.first_due(), None, "not started");
        pace.start(0, 0);
        pace.wait(0);
        pace.wait(0);
        assert_eq!(pace.pop(0), Some(0));
        assert_eq!(pace.pop(u64::MAX), None);
    }
}
