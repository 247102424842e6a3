//! Waiting for a condition, never for a time.

use std::io::Read;
use std::os::fd::AsFd;
use std::pin::pin;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

/// No wait takes so long, on however slow a machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Polls `condition` until it holds. Panics at the deadline, and says what was waited for.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        pause();
    }
}

/// Polls what `look` sees until it is the same many times in a row; what is none is never the same.
/// Panics at the deadline.
pub fn until_still<T: PartialEq>(what: &str, mut look: impl FnMut() -> Option<T>) {
    let mut before = None;
    let mut same = 0;
    until(what, || {
        let now = look();
        let is_same = now.is_some() && now == before;
        same = if is_same { same + 1 } else { 0 };
        before = now;
        same == 20
    });
}

/// Polls a future to its end. Panics at the deadline, also where the end came and woke nobody.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let end = Instant::now() + DEADLINE;
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park_timeout(end.saturating_duration_since(Instant::now()));
        assert!(Instant::now() < end, "nobody was woken by a future");
    }
}

/// Wakes the thread that polls.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the end of a process. Kills it and panics at the deadline.
pub fn for_end(child: &mut Child) -> ExitStatus {
    let mut status = None;
    let end = Instant::now() + DEADLINE;
    while status.is_none() && Instant::now() < end {
        status = child.try_wait().expect("the child can be waited for");
        pause();
    }
    status.unwrap_or_else(|| {
        let _ = child.kill();
        panic!("the process did not end");
    })
}

/// Reads a child's output, byte by byte, up to a line with `words` in it. False if the output ends
/// before. Panics at the deadline.
pub fn for_line(output: &mut (impl Read + AsFd), words: &str) -> bool {
    let end = Instant::now() + DEADLINE;
    let mut line = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = left.try_into().expect("a minute is no long time");
        let mut wanted = [PollFd::new(output, PollFlags::IN)];
        let ready = retry_on_intr(|| poll(&mut wanted, Some(&left)));
        assert!(ready != Ok(0), "waited in vain for a line with {words:?}");
        let mut byte = [0];
        match output.read(&mut byte) {
            Ok(1) if byte == *b"\n" => {
                if String::from_utf8_lossy(&line).contains(words) {
                    return true;
                }
                line.clear();
            }
            Ok(1) => line.extend(byte),
            _ => return false,
        }
    }
}

/// Lets others run between two looks at a condition.
fn pause() {
    thread::park_timeout(Duration::from_millis(2));
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Write as _, pipe};

    use super::*;

    #[test]
    fn a_future_is_polled_when_it_wakes() {
        let mut polls = 0;
        let third = block_on(poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            if polls == 3 {
                Poll::Ready(polls)
            } else {
                Poll::Pending
            }
        }));
        assert_eq!(third, 3);
    }

    #[test]
    fn a_line_is_found_among_others_and_nothing_behind_it_is_taken() {
        let (mut output, mut input) = pipe().expect("a pipe");
        input.write_all(b"one\ntwo words\nthree\n").expect("room");
        drop(input);
        assert!(for_line(&mut output, "words"));
        assert!(!for_line(&mut output, "words"));
        let (mut output, mut input) = pipe().expect("a pipe");
        input.write_all(b"words without an end").expect("room");
        drop(input);
        assert!(!for_line(&mut output, "words"));
    }
}
