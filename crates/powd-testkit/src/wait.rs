//! Waiting for a condition, never for a time.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::thread;
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
    use std::io::{Write as _, pipe};

    use super::*;

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
