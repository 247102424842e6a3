//! Where a simulation takes its choices from: a number that it prints, or the bytes of a fuzzer.

use powd_core::unstable::Draws;

/// A stream of choices. The same stream gives the same run.
#[derive(Debug)]
pub struct Choices<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Drawn(Draws),
    Bytes(&'a [u8]),
}

impl Choices<'_> {
    /// The choices of run number `seed`.
    pub fn drawn(seed: u64) -> Choices<'static> {
        Choices(Source::Drawn(Draws::reproducible(seed, 0)))
    }

    /// Choices made by a fuzzer, one byte each. When they are used up, all are the first.
    pub fn of_bytes(bytes: &[u8]) -> Choices<'_> {
        Choices(Source::Bytes(bytes))
    }

    /// A number below `count`, which is at most 256.
    pub fn below(&mut self, count: u64) -> u64 {
        match &mut self.0 {
            Source::Drawn(draws) => draws.draw() % count,
            Source::Bytes(bytes) => {
                let (&first, rest) = bytes.split_first().unwrap_or((&0, &[]));
                *bytes = rest;
                u64::from(first) % count
            }
        }
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) + 1 == count
    }
}
