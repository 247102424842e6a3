//! What the benchmarks share, where it can be wrong without a benchmark noticing.

#[path = "../benches/support/arguments.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod arguments;
#[path = "../benches/support/estimate.rs"]
mod estimate;
#[path = "../benches/support/numbers.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod numbers;

use arguments::Arguments;
use estimate::Estimate;

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

#[test]
fn a_ratio_has_the_errors_of_both_and_shows_them_where_they_count() {
    let rate = |replies: u64, seconds: f64| Estimate {
        value: replies as f64 / seconds,
        luck: Estimate::luck(replies, 3),
    };
    let (fast, slow) = (rate(1_000_000, 30.0), rate(900, 10.0));
    assert_eq!(fast.with_error(""), "33,333");
    assert_eq!(slow.with_error(""), "90.0 +-3 %");
    assert_eq!(fast.over(slow).with_error(" x"), "370 x +-3 %");
    assert_eq!(slow.over(rate(225, 2.0)).with_error(""), "0.800 +-7 %");
    assert_eq!(slow.over(2.0).with_error(" x"), "45.0 x +-3 %");
    // At difficulty 0 the first seed is a solution.
    assert_eq!(Estimate::luck(10, 0), 0.0);
}

#[test]
fn a_figure_is_rounded_to_what_its_error_leaves() {
    for (value, luck, shown) in [
        (359.4, 0.0, "359"),
        (359.4, 0.03, "360"),
        (366.7, 0.12, "370"),
        (359.4, 0.38, "400"),
        (3594.0, 0.03, "3,600"),
        (9.96, 0.15, "10"),
        (8.06, 0.08, "8.1"),
        (0.389, 0.38, "0.4"),
        (0.389, 0.02, "0.389"),
        (0.0, 1.0, "0"),
    ] {
        assert_eq!(Estimate { value, luck }.rounded(), shown, "{value} {luck}");
    }
}
