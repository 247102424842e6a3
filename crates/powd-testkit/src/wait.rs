//! Waiting for a condition, never for a time.

use std::io::{BufReader, Read};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

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
/// before.
pub fn for_line(output: impl Read, words: &str) -> bool {
    let mut line = Vec::new();
    for byte in BufReader::with_capacity(1, output).bytes() {
        match byte {
            Ok(b'\n') if String::from_utf8_lossy(&line).contains(words) => return true,
            Ok(b'\n') => line.clear(),
            Ok(byte) => line.push(byte),
            Err(_) => return false,
        }
    }
    false
}

/// Lets others run between two looks at a condition.
fn pause() {
    thread::park_timeout(Duration::from_millis(2));
}
