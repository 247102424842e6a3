//! How fast a kernel is, on this CPU, now: for [`Comparison`](super::Comparison) and `powd speed`.

use std::iter::Cycle;
#[cfg(any(feature = "unstable", test))]
use std::time::{Duration, Instant};

use super::Scan;
#[cfg(any(feature = "unstable", test))]
use super::whole_batches;
use crate::pow::{ALPHABET, Difficulty, SeedLength};
use crate::sha256::Template;

/// Heads of five-character seeds in front of a message, one after the other, scanned without a
/// find.
#[derive(Debug)]
pub(super) struct Scanner {
    template: Template,
    /// The fifth characters still to come.
    tails: Cycle<std::array::IntoIter<u8, { ALPHABET.len() }>>,
    /// The next head.
    next: u32,
}

impl Scanner {
    /// In front of a message of `message_bytes`.
    pub(super) fn new(message_bytes: usize) -> Scanner {
        let message: Vec<u8> = (b' '..=b'~').cycle().take(message_bytes).collect();
        let mut template = Template::with_capacity(message_bytes);
        template.load(SeedLength::DEFAULT, &message);
        Scanner {
            template,
            tails: ALPHABET.into_iter().cycle(),
            next: Scanner::HEADS,
        }
    }

    /// As many heads as there are.
    const HEADS: u32 = Template::MAX_HEAD_LENGTH.space() as u32;

    /// Scans the next `heads` heads; behind another fifth character, if there are not so many left.
    pub(super) fn scan(&mut self, kernel: &impl Scan, heads: u32) {
        if Scanner::HEADS - self.next < heads {
            let tail = self.tails.next().expect("the alphabet goes round for ever");
            self.template.fix_tail(&[tail]);
            self.next = 0;
        }
        let range = self.next..self.next + heads;
        self.next = range.end;
        std::hint::black_box(kernel.scan(&self.template, range, Difficulty::MAX));
    }
}

/// Hashes per second of `kernel` on one thread, in front of a message of `message_bytes`, by scans
/// for at least `duration`.
#[cfg(any(feature = "unstable", test))]
pub fn measure(kernel: &impl Scan, message_bytes: usize, duration: Duration) -> f64 {
    let mut scanner = Scanner::new(message_bytes);
    // Long enough for the clock to cost nothing, short enough to end in time. No lane idles: slices
    // of 130 heads, at 63 blocks, would show a kernel of 16 lanes a tenth too slow.
    let slice = whole_batches(8192 / scanner.template.blocks() as u64).get() as u32;
    let start = Instant::now();
    let mut hashes = 0u64;
    loop {
        scanner.scan(kernel, slice);
        hashes += u64::from(slice);
        let elapsed = start.elapsed();
        if elapsed >= duration {
            return hashes as f64 / elapsed.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, OnceCell};

    use super::*;
    use crate::kernel::{Heads, Kernel};

    #[test]
    fn long_messages_are_measured_too() {
        let rate = measure(&Kernel::PORTABLE, 8192, Duration::from_millis(1));
        assert!(rate > 0.0);
    }

    /// Counts the heads that it is asked to scan, and notes when.
    #[derive(Default)]
    struct Counter {
        counted: Cell<u64>,
        begun: OnceCell<Instant>,
        last: Cell<Option<Instant>>,
    }

    impl Scan for Counter {
        fn next_hit(&self, _: &Template, heads: &mut Heads<'_>, _: Difficulty) -> Option<u32> {
            let count = heads.left().len() as u64;
            assert_eq!(count, whole_batches(count).get(), "lanes idle");
            self.begun.get_or_init(Instant::now);
            self.counted.set(self.counted.get() + count);
            self.last.set(Some(Instant::now()));
            None
        }
    }

    #[test]
    fn a_rate_is_what_was_scanned_over_its_time_in_whole_batches() {
        for message_bytes in [0, 20, 100, 1000, 4018, 8192, 65_536] {
            let counter = Counter::default();
            let start = Instant::now();
            let rate = measure(&counter, message_bytes, Duration::from_micros(100));
            let longest = start.elapsed();
            let last = counter.last.get().expect("it scanned");
            let shortest = last - *counter.begun.get().expect("it scanned");
            // The time that counts lies between that of all scans and that of the call.
            let counted = counter.counted.get() as f64;
            assert!(rate >= counted / longest.as_secs_f64());
            assert!(rate <= counted / shortest.as_secs_f64());
        }
    }
}
