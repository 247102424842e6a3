//! What a long search is doing, for who waits at a terminal: one line on standard error, gone when
//! it is over.
//!
//! It knows how many hashes were tried and which message they are for, nothing else of the search.
//! Without a terminal it does nothing at all.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use powd_core::Difficulty;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;

use super::super::{Error, signals};

/// Who waits for less than this is not told anything.
const SHORT: Duration = Duration::from_secs(1);
/// Between two looks at the hashes.
const TICK: Duration = Duration::from_millis(100);
/// The hash rate is that of this time, or a little more.
const WINDOW: Duration = Duration::from_secs(2);
/// A rest of less than this, to read more messages, is none.
const BREATH: Duration = Duration::from_millis(100);

/// The line, or nothing where standard error is no terminal.
#[derive(Clone)]
pub(super) struct Display(Option<Arc<Mutex<State>>>);

struct State {
    difficulty: Difficulty,
    /// Messages in all, where that is known.
    messages: Option<u64>,
    /// Tells how many hashes were tried.
    tried: Box<dyn Fn() -> u64 + Send>,
    /// How many members of a cluster search, where one does.
    members: Option<Arc<AtomicU64>>,
    work: Option<Work>,
    /// The line on the terminal, while it is there.
    bar: Option<ProgressBar>,
    /// Something else is being written: the line stays away.
    is_aside: bool,
}

/// Searches without a rest between them.
struct Work {
    since: Instant,
    /// When it came to an end, unless more is coming.
    rest: Option<Instant>,
    /// The message at hand, counted from 1, when its search began, and the hashes tried before
    /// that.
    message: u64,
    message_since: Instant,
    tried_before: u64,
    /// Hashes tried at the last few looks that saw more of them: those of a cluster are told once a
    /// second.
    looks: VecDeque<(Instant, u64)>,
}

impl Display {
    /// A display for so many messages, if that is known; `tried` tells how many hashes their
    /// searches have tried.
    pub(super) fn new(
        difficulty: Difficulty,
        messages: Option<u64>,
        tried: impl Fn() -> u64 + Send + 'static,
    ) -> Result<Display, Error> {
        if !io::stderr().is_terminal() {
            return Ok(Display(None));
        }
        let display = Display(Some(Arc::new(Mutex::new(State {
            difficulty,
            messages,
            tried: Box::new(tried),
            members: None,
            work: None,
            bar: None,
            is_aside: false,
        }))));
        let ticking = display.clone();
        spawn(move || {
            loop {
                thread::sleep(TICK);
                ticking.with(State::tick);
            }
        })?;
        // A line that nobody takes away would stand before the shell's prompt.
        let mut signals = signals::hear(&[SIGINT, SIGTERM])?;
        let ending = display.clone();
        spawn(move || {
            for signal in &mut signals {
                ending.clear();
                // Does not return: both end the process.
                let _ = emulate_default_handler(signal);
            }
        })?;
        Ok(display)
    }

    /// The same, which also shows how many members of a cluster search.
    #[cfg(feature = "nats")]
    pub(super) fn with_members(self, members: Arc<AtomicU64>) -> Display {
        self.with(|state| state.members = Some(members));
        self
    }

    /// The search for message `number`, counted from 1, begins.
    pub(super) fn search(&self, number: u64) {
        self.with(|state| state.search(number, Instant::now()));
    }

    /// Nothing is searched for until the next message is there.
    pub(super) fn rest(&self) {
        self.with(|state| {
            if let Some(work) = &mut state.work {
                work.rest = Some(Instant::now());
            }
            state.clear();
        });
    }

    /// Takes the line off the terminal while `write` writes there. It may wait for its reader, so
    /// it holds no lock: a signal is heard meanwhile. (`ProgressBar::suspend` would hold one.)
    pub(super) fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        let was_shown = self.with(|state| {
            state.is_aside = true;
            let was_shown = state.bar.is_some();
            state.clear();
            was_shown
        });
        let written = write();
        self.with(|state| {
            state.is_aside = false;
            if was_shown == Some(true) {
                state.tick();
            }
        });
        written
    }

    /// Takes the line off the terminal.
    pub(super) fn clear(&self) {
        self.with(State::clear);
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> Option<R> {
        let state: Option<MutexGuard<'_, State>> = self
            .0
            .as_ref()
            .map(|state| state.lock().unwrap_or_else(PoisonError::into_inner));
        state.map(|mut state| act(&mut state))
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name("display".to_owned());
    thread.spawn(work).map_err(Error::Thread)?;
    Ok(())
}

impl State {
    fn search(&mut self, message: u64, now: Instant) {
        let tried_before = (self.tried)();
        let goes_on = self.work.take().filter(|work| {
            let rested = work.rest.map(|rest| now.duration_since(rest));
            rested.is_none_or(|rested| rested < BREATH)
        });
        let (since, looks) = match goes_on {
            Some(work) => (work.since, work.looks),
            None => (now, VecDeque::from([(now, tried_before)])),
        };
        self.work = Some(Work {
            since,
            rest: None,
            message,
            message_since: now,
            tried_before,
            looks,
        });
    }

    fn tick(&mut self) {
        let Some(line) = self.line(Instant::now()).filter(|_| !self.is_aside) else {
            return;
        };
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_msg}").expect("a valid template");
            ProgressBar::new_spinner().with_style(style)
        });
        bar.set_message(line.to_string());
    }

    /// What there is to tell, if it is worth it.
    fn line(&mut self, now: Instant) -> Option<Line> {
        let work = self.work.as_mut().filter(|work| work.rest.is_none())?;
        let tried = (self.tried)();
        work.look(now, tried);
        let is_long = |since: Instant| now.duration_since(since) >= SHORT;
        is_long(work.since).then(|| Line {
            message: work.message,
            messages: self.messages,
            rate: work.rate(now),
            members: self.members.as_ref().map(|members| members.load(Relaxed)),
            hashes: is_long(work.message_since).then_some(tried - work.tried_before),
            difficulty: self.difficulty,
        })
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Work {
    fn look(&mut self, now: Instant, tried: u64) {
        if self.looks.back().is_none_or(|&(_, last)| last != tried) {
            self.looks.push_back((now, tried));
        }
        while self.looks.len() > 2 && now.duration_since(self.looks[1].0) > WINDOW {
            self.looks.pop_front();
        }
    }

    /// Hashes per second from the first of the looks to the last, or to `now` if that is long ago.
    fn rate(&self, now: Instant) -> f64 {
        let (Some(&(from, before)), Some(&(to, tried))) = (self.looks.front(), self.looks.back())
        else {
            return 0.0;
        };
        let is_stale = now.duration_since(to) > WINDOW;
        let end = if is_stale { now } else { to };
        let seconds = end.duration_since(from).as_secs_f64();
        (tried - before) as f64 / seconds.max(1e-3)
    }
}

/// The line as it is read.
struct Line {
    message: u64,
    messages: Option<u64>,
    /// Hashes per second.
    rate: f64,
    /// Members of a cluster that search.
    members: Option<u64>,
    /// Tried for this message, where that is a long search.
    hashes: Option<u64>,
    difficulty: Difficulty,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.messages {
            Some(1) => {}
            Some(all) => {
                let (message, all) = (HumanCount(self.message), HumanCount(all));
                write!(f, "message {message} of {all}, ")?;
            }
            None => write!(f, "message {}, ", HumanCount(self.message))?,
        }
        write!(f, "{:.1} MH/s", self.rate / 1e6)?;
        match self.members {
            None | Some(0) => {}
            Some(1) => write!(f, " by 1 member")?,
            Some(members) => write!(f, " by {} members", HumanCount(members))?,
        }
        let Some(hashes) = self.hashes else {
            return Ok(());
        };
        let part = hashes as f64 / self.difficulty.expected_hashes();
        // A search has no memory: each hash has the same chance.
        let found = -(-part).exp_m1();
        write!(
            f,
            ", {} hashes = {} x 16^{}, found by now: {} %",
            HumanCount(hashes),
            short(part),
            self.difficulty,
            short((100.0 * found).min(99.9))
        )
    }
}

/// Two digits or three, however small it is.
fn short(number: f64) -> String {
    match number {
        small if small > 0.0 && small < 0.01 => format!("{small:.0e}"),
        small if small < 1.0 => format!("{small:.2}"),
        medium if medium < 10.0 || (99.0..100.0).contains(&medium) => format!("{medium:.1}"),
        large => format!("{large:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn line(nibbles: u8, messages: Option<u64>, hashes: Option<u64>) -> String {
        let line = Line {
            message: 3,
            messages,
            rate: 96_812_345.0,
            members: None,
            hashes,
            difficulty: Difficulty::new(nibbles).expect("0 to 64"),
        };
        line.to_string()
    }

    #[test]
    fn a_line_tells_how_far_a_search_is() {
        assert_eq!(
            line(8, Some(7), Some(1_161_234_567)),
            "message 3 of 7, 96.8 MH/s, 1,161,234,567 hashes = 0.27 x 16^8, found by now: 24 %"
        );
        assert_eq!(
            line(16, None, Some(1_000_000_000)),
            "message 3, 96.8 MH/s, 1,000,000,000 hashes = 5e-11 x 16^16, found by now: 5e-9 %"
        );
        let over = "96.8 MH/s, 200,000,000 hashes = 12 x 16^6, found by now: 99.9 %";
        assert_eq!(line(6, Some(1), Some(200_000_000)), over);
        assert_eq!(line(4, None, None), "message 3, 96.8 MH/s");
    }

    #[test]
    fn a_short_wait_is_not_told_and_a_rest_begins_it_anew() {
        let tried = Arc::new(AtomicU64::new(1_000_000));
        let counted = Arc::clone(&tried);
        let mut state = State {
            difficulty: Difficulty::new(8).expect("0 to 64"),
            messages: None,
            tried: Box::new(move || counted.load(Relaxed)),
            members: None,
            work: None,
            bar: None,
            is_aside: false,
        };
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let told = |state: &mut State, milliseconds| {
            tried.fetch_add(1_000_000, Relaxed);
            let line = state.line(after(milliseconds))?;
            Some((line.message, line.hashes, line.rate.round() as u64))
        };
        assert_eq!(told(&mut state, 0), None, "nothing is searched for");
        state.search(1, start);
        assert_eq!(told(&mut state, 999), None);
        let found = told(&mut state, 1000);
        assert_eq!(found, Some((1, Some(2_000_000), 2_000_000)));
        // The next message is at hand: its own search is short yet.
        state.search(2, after(1000));
        assert_eq!(told(&mut state, 1500), Some((2, None, 2_000_000)));
        // More had to be read.
        state.work.as_mut().expect("at work").rest = Some(after(1500));
        assert_eq!(told(&mut state, 1550), None, "nothing is searched for");
        state.search(3, after(1550));
        assert!(told(&mut state, 1600).is_some());
        // The next message was long in coming.
        state.work.as_mut().expect("at work").rest = Some(after(1600));
        state.search(4, after(9000));
        assert_eq!(told(&mut state, 9999), None);
        assert!(told(&mut state, 10_000).is_some());
    }

    #[test]
    fn a_write_that_waits_for_its_reader_holds_up_nobody_else() {
        let mut state = State {
            difficulty: Difficulty::NONE,
            messages: None,
            tried: Box::new(|| 0),
            members: None,
            work: None,
            bar: Some(ProgressBar::hidden()),
            is_aside: false,
        };
        state.search(1, Instant::now());
        let display = Display(Some(Arc::new(Mutex::new(state))));
        let (tell, ended) = channel();
        let other = display.clone();
        display.aside(|| {
            thread::spawn(move || {
                other.with(State::tick);
                other.clear();
                tell.send(())
            });
            let ended = ended.recv_timeout(Duration::from_secs(60));
            ended.expect("what signals do does not wait for the write");
        });
    }

    #[test]
    fn a_rate_stands_until_there_is_news_of_it() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut work = Work {
            since: start,
            rest: None,
            message: 1,
            message_since: start,
            tried_before: 0,
            looks: VecDeque::from([(start, 0)]),
        };
        let mut rate = |milliseconds, tried| {
            work.look(after(milliseconds), tried);
            work.rate(after(milliseconds)).round() as u64
        };
        // Of a cluster there is news each second.
        for milliseconds in (1000..6000).step_by(100) {
            let tried = milliseconds / 1000 * 50_000_000;
            assert_eq!(rate(milliseconds, tried), 50_000_000, "{milliseconds}");
        }
        // Then there is none: the member that searched has gone.
        assert_eq!(rate(7000, 250_000_000), 50_000_000);
        assert!(rate(9000, 250_000_000) < 40_000_000);
    }
}
