//! What the benchmarks share, where it can be wrong without a benchmark noticing.

#[path = "../benches/support/arguments.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod arguments;

use arguments::Arguments;

/// Behind `cargo bench --bench NAME --`, with what cargo adds.
fn arguments(typed: &[&str]) -> Arguments {
    Arguments::new(
        typed
            .iter()
            .chain(&["--bench"])
            .map(|&word| word.to_owned()),
    )
}

#[test]
fn a_test_of_a_benchmark_does_not_replace_its_results() {
    let (real, test) = (arguments(&[]), arguments(&["--test"]));
    assert!(!real.test && test.test);
    assert!(real.results().ends_with("bench"));
    assert_ne!(real.results(), test.results());
    // As `cargo test --benches` calls them.
    assert!(Arguments::new([]).test);
}
