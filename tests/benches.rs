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
fn a_filter_is_all_of_its_words_whole_and_in_a_row() {
    for (typed, wanted, others) in [
        (&[][..], &["bare 1", "hard 4 1 1", "summary"][..], &[][..]),
        (
            &["hard", "4"],
            &["hard 4 1 1", "hard 4 100 1"],
            &["hard 5 1 1", "hard 5 1 4", "bare 4"],
        ),
        (&["bare 1"], &["bare 1"], &["bare 16", "hard 4 1 1"]),
        (&["hard", "4 1 4"], &["hard 4 1 4"], &["hard 4 1 1"]),
        (&["100"], &["100 connections"], &["connections = cpus"]),
        (&["cpus"], &["connections = cpus"], &["100 connections"]),
        (&["hard"], &["hard 5 1000 1"], &["summary"]),
    ] {
        let arguments = arguments(typed);
        assert!(wanted.iter().all(|name| arguments.wants(name)), "{typed:?}");
        assert!(
            !others.iter().any(|name| arguments.wants(name)),
            "{typed:?}"
        );
    }
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
