//! The timetable of the open loop: each connection's requests are due at equal distances, whether
//! the one before was answered or not. What falls behind is sent late and keeps its due time, so
//! that the latency of a stalled server includes the wait that its users would have had.
//!
//! One timetable holds for the connections of all threads: they take turns by their number in the
//! run, counted from one start. With a start for each thread, as many requests as threads would
//! leave at a time, and the server would be measured in bursts.
//!
//! It knows a connection by its place in the thread's list, and its number from that. Times are
//! durations since the run began. Inside, it counts nanoseconds in `f64`: a distance rounded to
//! whole ones would change the rate.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// When each connection's next request is due.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two requests of the run, in nanoseconds.
    step: f64,
    /// Between two requests of one connection, in nanoseconds.
    interval: f64,
    /// By connection: its number in the run.
    numbers: Vec<usize>,
    /// By connection, in nanoseconds; `None` before it was open for the first time.
    next: Vec<Option<f64>>,
    /// Connections that only wait for their time, soonest first; each at most once.
    waiting: BinaryHeap<Reverse<(Duration, usize)>>,
    is_waiting: Vec<bool>,
}

impl Pace {
    /// `rate` requests per second in all over `connections`, of which this thread has those with
    /// these `numbers`.
    pub(super) fn new(rate: f64, connections: usize, numbers: Vec<usize>) -> Pace {
        let step = 1e9 / rate;
        Pace {
            step,
            interval: connections as f64 * step,
            next: vec![None; numbers.len()],
            waiting: BinaryHeap::new(),
            is_waiting: vec![false; numbers.len()],
            numbers,
        }
    }

    /// Puts a connection on the timetable that began at `start`, the same for all threads. It keeps
    /// its place if it was on it before; otherwise it begins with its first turn from `now` on,
    /// since a turn before it was open was nobody's wait.
    pub(super) fn join(&mut self, connection: usize, start: Duration, now: Duration) {
        let first = nanoseconds(start) + self.step * self.numbers[connection] as f64;
        let missed = ((nanoseconds(now) - first) / self.interval).ceil().max(0.0);
        self.next[connection].get_or_insert(first + missed * self.interval);
    }

    /// Whether the time of the next request of `connection` has come.
    pub(super) fn is_due(&self, connection: usize, now: Duration) -> bool {
        self.next[connection].is_some_and(|due| due <= nanoseconds(now))
    }

    /// When the next request of `connection` is due; `None` while it is not on the timetable.
    pub(super) fn next_due(&self, connection: usize) -> Option<Duration> {
        self.next[connection].map(|due| Duration::from_nanos(due.ceil() as u64))
    }

    /// The time at which the next request of `connection` was due, if that has come; it is then
    /// taken.
    pub(super) fn take(&mut self, connection: usize, now: Duration) -> Option<Duration> {
        let due = self.next[connection].filter(|&due| due <= nanoseconds(now))?;
        self.next[connection] = Some(due + self.interval);
        Some(Duration::from_nanos(due as u64))
    }

    /// Lets `connection`, which has room for a request, wait until one is due.
    pub(super) fn wait(&mut self, connection: usize) {
        if let Some(due) = self.next_due(connection)
            && !std::mem::replace(&mut self.is_waiting[connection], true)
        {
            self.waiting.push(Reverse((due, connection)));
        }
    }

    /// When the first waiting connection is due.
    pub(super) fn first_due(&self) -> Option<Duration> {
        self.waiting.peek().map(|Reverse((due, _))| *due)
    }

    /// A waiting connection whose time has come. It waits no longer.
    pub(super) fn pop(&mut self, now: Duration) -> Option<usize> {
        let &Reverse((due, connection)) = self.waiting.peek()?;
        if due > now {
            return None;
        }
        self.waiting.pop();
        self.is_waiting[connection] = false;
        Some(connection)
    }

    /// Requests of `connection` that were due before `end` and not taken, and the time of the
    /// first.
    pub(super) fn overdue(&self, connection: usize, end: Duration) -> Option<(u64, Duration)> {
        let end = nanoseconds(end);
        let due = self.next[connection].filter(|&due| due < end)?;
        let requests = ((end - due) / self.interval) as u64 + 1;
        Some((requests, Duration::from_nanos(due as u64)))
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time so many nanoseconds after the run began.
    fn at(nanoseconds: u64) -> Duration {
        Duration::from_nanos(nanoseconds)
    }

    /// The due times of `pace` before `end`, each taken as soon as it has come.
    fn due(pace: &mut Pace, end: Duration) -> Vec<Duration> {
        let mut times = Vec::new();
        while let Some(now) = pace.first_due().filter(|&due| due < end) {
            let connection = pace.pop(now).expect("due");
            times.push(pace.take(connection, now).expect("due"));
            pace.wait(connection);
        }
        times
    }

    #[test]
    fn the_threads_together_keep_the_rate_in_even_steps() {
        const CONNECTIONS: usize = 10;
        for threads in [1, 3, 10] {
            let mut times = Vec::new();
            for thread in 0..threads {
                let numbers: Vec<_> = (thread..CONNECTIONS).step_by(threads).collect();
                let own = numbers.len();
                let mut pace = Pace::new(1000.0, CONNECTIONS, numbers);
                for connection in 0..own {
                    // Open at different times, the last ones after their first turns.
                    let opened = 5 + 777_777 * (thread + connection) as u64;
                    pace.join(connection, at(5), at(opened));
                    pace.wait(connection);
                }
                times.extend(due(&mut pace, at(1_000_000_005)));
            }
            times.sort_unstable();
            let all = times.split_off(times.partition_point(|&time| time < at(100_000_005)));
            assert_eq!(all.len(), 900, "{threads} threads");
            assert!(all.windows(2).all(|two| two[1] - two[0] == at(1_000_000)));
        }
    }

    #[test]
    fn a_connection_that_opens_late_begins_with_its_next_turn() {
        let mut pace = Pace::new(1000.0, 4, vec![1, 3]);
        pace.join(0, at(0), at(1_000_000));
        pace.join(1, at(0), at(3_000_001));
        pace.join(1, at(0), at(9_000_000));
        assert_eq!(pace.next, [Some(1e6), Some(7e6)]);
    }

    #[test]
    fn late_requests_keep_their_due_time() {
        let mut pace = Pace::new(1000.0, 1, vec![0]);
        pace.join(0, at(5), at(5));
        pace.join(0, at(5), at(77));
        let now = at(3_500_000);
        assert_eq!(pace.overdue(0, now), Some((4, at(5))));
        let taken: Vec<_> = std::iter::from_fn(|| pace.take(0, now)).collect();
        assert_eq!(taken, [5, 1_000_005, 2_000_005, 3_000_005].map(at));
        assert_eq!(pace.overdue(0, now), None);
    }

    #[test]
    fn a_connection_waits_once() {
        let mut pace = Pace::new(1000.0, 1, vec![0]);
        pace.wait(0);
        assert_eq!(pace.first_due(), None, "not started");
        pace.join(0, at(0), at(0));
        pace.wait(0);
        pace.wait(0);
        assert_eq!(pace.pop(at(0)), Some(0));
        assert_eq!(pace.pop(Duration::MAX), None);
    }
}
