//! Requests of any kind at all: each gets its answer, or a problem in the API's own words, and
//! nothing is lost, doubled or put out of order. `PROPTEST_CASES=100000` tries as many of each.

mod bytes;
mod fields;
mod lines;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Tries `test` with many values. Nothing is kept for the next run.
fn check<S: Strategy>(values: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        failure_persistence: None,
        // In milliseconds: what fails by its deadline takes a minute each time.
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&values, test);
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Cuts `bytes` where the numbers say, into pieces that are not empty.
fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    let pieces = places
        .windows(2)
        .map(|ends| bytes[ends[0]..ends[1]].to_vec());
    pieces.filter(|piece| !piece.is_empty()).collect()
}

/// Where to cut.
fn places() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..6)
}
