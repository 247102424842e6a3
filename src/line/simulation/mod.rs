//! A connection in a simulated world: its client, its socket, its worker and the clock do what they
//! can do, in any order. What must always hold is looked at after every step.
//!
//! A run is made by [`run`] from [`Choices`]: a number, which the tests print when it fails, or the
//! bytes of a fuzzer.

mod choices;
mod host;
mod promises;
mod socket;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::buffers::Pool;
use super::connection::Connection;
use super::counters::Counters;
use super::options::{Limits, Options};
use super::session::{Rooms, Shelf};
use crate::engine::{Budget, Drain, Durations, MessageBytes, Next, TurnKind, Urgency};
use crate::protocol::{ErrorLine, Framing, Reply};

pub use choices::Choices;
use host::{SimulatedHost, Task};
use socket::{Socket, Wire};

/// The longest message: short, so that too long ones are seen.
const MAX: usize = 40;

/// How long powd waits for the client's end at most, once it has ended its own.
const LINGER: Duration = Duration::from_secs(1);

/// How long a drain waits for the first bytes of a client that has just come.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// Every request that counts was answered.
    Orderly,
    /// Replies may be missing: the client has reset it, did not take them, or was given up.
    Cut,
}

/// Where a client's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// It waits for an event.
    Idle,
    /// It waits for a turn of that kind.
    Queued(TurnKind),
    /// It waits for helpers.
    Stalled,
    /// Its replies are still to be written in this round.
    Unwritten,
    /// powd has closed it.
    Closed,
}

struct World<'c, 'b> {
    host: SimulatedHost<'c, 'b>,
    options: Options,
    counters: Counters,
    durations: Durations,
    pool: Pool,
    rooms: Rooms<Task>,
    wire: Rc<RefCell<Wire>>,
    connection: Option<Connection<Socket, Task>>,
    run: Run,
    /// All that the client has sent.
    sent: Vec<u8>,
    /// What of it counts: in a drain, what had arrived when it began, or if that was nothing, what
    /// the first read brought.
    counted: Option<usize>,
    /// When it connected.
    came: Instant,
    /// All that the client has received.
    received: Vec<u8>,
    /// When the client ended its stream.
    ended: Option<Instant>,
    powd_ended: Option<Instant>,
    ended_first: bool,
    how: Close,
}

/// One run. Panics when something does not hold.
pub fn run(choices: &mut Choices<'_>) {
    let mut world = World::new(choices);
    for _ in 0..60 + world.host.choices.below(200) {
        world.step();
        world.check();
    }
    world.end();
}

impl<'c, 'b> World<'c, 'b> {
    fn new(choices: &'c mut Choices<'b>) -> World<'c, 'b> {
        let now = Instant::now();
        let mut duration = |count: u64, unit: u64| match choices.below(3) {
            0 => None,
            _ => Some(Duration::from_millis(1 + choices.below(count) * unit)),
        };
        let limits = Limits {
            max_message_bytes: MessageBytes::new(MAX).expect("more than none"),
            idle_timeout: duration(200, 50),
            half_close_timeout: duration(100, 50).unwrap_or(Duration::ZERO),
            deadline: duration(100, 10),
            ..Limits::default()
        };
        let framing = match choices.below(2) {
            0 => Framing::Lines,
            _ => Framing::Crlf,
        };
        let options = Options {
            framing,
            limits,
            ..Options::default()
        };
        let capacity = [30, 200, 5000, 100_000][choices.below(4) as usize];
        let wire = Rc::new(RefCell::new(Wire::new(capacity)));
        let connection = Connection::simulated(Socket(Rc::clone(&wire)), &options, now);
        let mut host = SimulatedHost::new(choices, now);
        host.deadline = options.limits.deadline;
        World {
            host,
            pool: Pool::new(
                framing.request_room(MAX),
                MAX + Reply::OVERHEAD + ErrorLine::MAX_BYTES,
            ),
            rooms: Rooms::new(),
            options,
            counters: Counters::default(),
            durations: Durations::default(),
            wire,
            connection: Some(connection),
            run: Run::Idle,
            sent: Vec::new(),
            counted: None,
            came: now,
            received: Vec::new(),
            ended: None,
            powd_ended: None,
            ended_first: false,
            how: Close::Cut,
        }
    }

    /// Something happens.
    fn step(&mut self) {
        match self.host.choices.below(16) {
            0..=2 => self.client_sends(),
            3..=4 => {
                let most = [1, 50, 1000][self.host.choices.below(3) as usize];
                self.client_takes(most);
            }
            5 if self.host.choices.one_in(12) => self.client_ends(),
            6 if self.host.choices.one_in(40) => self.client_resets(),
            7 => self.time_passes(),
            8 if self.host.choices.one_in(20) => self.drain(),
            9 => self.wire.borrow_mut().interrupt = true,
            10..=11 => self.poll(),
            _ => self.turn(),
        }
    }

    fn client_sends(&mut self) {
        if self.ended.is_some() || self.run == Run::Closed || self.wire.borrow().is_reset() {
            return;
        }
        let mut bytes = Vec::new();
        for _ in 0..self.host.choices.below(4) {
            let length = match self.host.choices.below(16) {
                // Sometimes just as long as allowed, seldom longer.
                0 => MAX,
                1 if self.host.choices.one_in(8) => MAX + 1,
                length => length as usize,
            };
            bytes.extend((0..length).map(|_| b"ab,\r"[self.host.choices.below(4) as usize]));
            // Sometimes the rest of the line comes later.
            if !self.host.choices.one_in(6) {
                bytes.push(b'\n');
            }
        }
        if bytes.is_empty() {
            return;
        }
        let urgent = self.host.choices.one_in(10);
        self.wire.borrow_mut().send(&bytes, urgent);
        self.sent.extend(bytes);
    }

    fn client_takes(&mut self, most: usize) {
        self.received.extend(self.wire.borrow_mut().take(most));
    }

    fn client_ends(&mut self) {
        if self.ended.is_none() && !self.wire.borrow().is_reset() {
            self.wire.borrow_mut().end();
            self.ended = Some(self.host.now);
            self.ended_first = self.powd_ended.is_none();
        }
    }

    fn client_resets(&mut self) {
        self.wire.borrow_mut().reset();
    }

    fn time_passes(&mut self) {
        let step = [1, 20, 300, 3000][self.host.choices.below(4) as usize];
        self.host.now += Duration::from_millis(step);
        self.look_at_the_clock();
    }

    /// The worker's sweep.
    fn look_at_the_clock(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let is_due = connection
            .due(&self.options.limits)
            .is_some_and(|due| due <= self.host.now);
        if is_due {
            connection.on_due();
            if self.run == Run::Idle || matches!(self.run, Run::Queued(_)) {
                self.run = Run::Queued(TurnKind::New);
            }
        }
    }

    fn drain(&mut self) {
        match self.host.drain {
            Drain::Serving => {
                self.host.drain = Drain::Draining;
                self.counted = Some(self.sent.len()).filter(|sent| *sent > 0);
                if let Some(connection) = &mut self.connection {
                    connection.begin_drain();
                    if self.run == Run::Idle {
                        self.run = Run::Queued(TurnKind::New);
                    }
                }
            }
            Drain::Draining | Drain::Expired => {
                self.host.drain = Drain::Expired;
                if self.run == Run::Idle || matches!(self.run, Run::Queued(_)) {
                    self.run = Run::Queued(TurnKind::New);
                }
            }
        }
    }

    /// The worker polls.
    fn poll(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let Some((ready, closed)) = self.wire.borrow_mut().event() else {
            return;
        };
        let limits = &self.options.limits;
        let urgency = connection.on_ready(ready, closed, &mut self.host, limits);
        self.run = match (self.run, urgency) {
            (Run::Idle, _) | (Run::Queued(_), Urgency::Urgent) => Run::Queued(TurnKind::New),
            (run, _) => run,
        };
        if closed.error {
            assert_eq!(self.host.open_searches(), 0, "a search for nobody");
        }
        if closed.read {
            assert_eq!(self.host.offered(), 0, "help for who has probably gone");
        }
    }

    /// The worker gives a turn, if one is due.
    fn turn(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut shelf = Shelf {
            options: &self.options,
            counters: &self.counters,
            durations: &self.durations,
            pool: &mut self.pool,
            rooms: &mut self.rooms,
        };
        let next = match self.run {
            Run::Idle | Run::Closed => return,
            Run::Unwritten => connection.flush(&mut self.host, &mut shelf),
            Run::Queued(_) | Run::Stalled => {
                let kind = match self.run {
                    Run::Queued(kind) => kind,
                    _ => TurnKind::Old,
                };
                // The first choice, which is all that a fuzzer's last byte is followed by, gets
                // something done.
                let blocks = 60 - self.host.choices.below(60);
                let mut budget = Budget::new(blocks, kind);
                self.host.is_blocked = connection.has_output();
                let next = connection.turn(&mut self.host, &mut shelf, &mut budget);
                self.host.is_blocked = false;
                next
            }
        };
        self.run = match next {
            Next::Turn { .. } => Run::Queued(TurnKind::Old),
            Next::Soon => Run::Queued(TurnKind::New),
            Next::Flush => Run::Unwritten,
            Next::Stalled(_) => Run::Stalled,
            Next::Event => Run::Idle,
            Next::Close => {
                self.close();
                Run::Closed
            }
        };
    }

    /// The client takes all that comes and ends: everything must come to its end.
    fn end(mut self) {
        self.settle();
        self.client_ends();
        self.settle();
        if self.connection.is_some() {
            // A client that powd has left waits for nothing; one that does not end itself is not
            // waited for long.
            self.host.now += LINGER;
            self.look_at_the_clock();
            self.settle();
        }
        assert_eq!(self.run, Run::Closed, "never closed");
        self.check_replies();
    }

    /// Nothing but what follows from what has happened, until nothing follows any more.
    fn settle(&mut self) {
        for _ in 0..2000 {
            self.poll();
            self.turn();
            self.check();
            self.client_takes(usize::MAX);
            let is_at_rest = self.run == Run::Idle && !self.wire.borrow().has_event();
            if is_at_rest || self.run == Run::Closed {
                return;
            }
        }
        panic!("does not come to rest: {:?}", self.run);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn variable(name: &str) -> Option<u64> {
        std::env::var(name).ok()?.parse().ok()
    }

    /// As many runs as `POWD_SIMULATION_RUNS` says, from `POWD_SIMULATION_SEED` on.
    #[test]
    fn a_connection_keeps_its_promises_whatever_happens() {
        let first = variable("POWD_SIMULATION_SEED").unwrap_or(0);
        let runs = variable("POWD_SIMULATION_RUNS").unwrap_or(100_000);
        for seed in first..first + runs {
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut Choices::drawn(seed))));
            assert!(
                outcome.is_ok(),
                "again by POWD_SIMULATION_SEED={seed} POWD_SIMULATION_RUNS=1"
            );
        }
    }
}
