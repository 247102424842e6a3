//! The arguments of a benchmark: which measurements they ask for, and where the results go.

use std::path::PathBuf;

use crate::Program;

/// What was typed behind `--`, and what cargo adds to it.
#[derive(Debug)]
pub struct Arguments {
    /// One very short round of everything, to see that it works: what `cargo test --benches` asks
    /// for.
    pub test: bool,
    /// The words of the measurements that are asked for; all of them when empty.
    words: Vec<String>,
}

impl Arguments {
    /// Those of this process.
    pub fn read() -> Arguments {
        Arguments::new(std::env::args().skip(1))
    }

    /// A filter is one argument or several.
    pub fn new(arguments: impl IntoIterator<Item = String>) -> Arguments {
        let (flags, filter): (Vec<String>, Vec<String>) = arguments
            .into_iter()
            .partition(|argument| argument.starts_with('-'));
        let has = |flag: &str| flags.iter().any(|argument| argument == flag);
        Arguments {
            test: has("--test") || !has("--bench"),
            words: filter
                .iter()
                .flat_map(|argument| argument.split_whitespace())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Whether the measurement of this name is asked for: it has all the words, whole and one
    /// behind the other. So `bare 1` is not `bare 16`, nor `hard 4` a `hard 5` with 4 in flight.
    pub fn wants(&self, name: &str) -> bool {
        let name: Vec<&str> = name.split_whitespace().collect();
        self.words.is_empty() || name.windows(self.words.len()).any(|run| run == self.words)
    }

    /// The directory that results go to, `target/bench`. That of a test is another one: a test must
    /// not replace a measurement.
    pub fn results(&self, program: Program) -> PathBuf {
        let results = program.target_directory().join("bench");
        match self.test {
            true => results.join("test"),
            false => results,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
        let powd = Program::at("target/release/powd");
        let (real, test) = (arguments(&[]), arguments(&["--test"]));
        assert!(!real.test && test.test);
        assert_eq!(real.results(powd), Path::new("target/bench"));
        assert_ne!(real.results(powd), test.results(powd));
        // As `cargo test --benches` calls them.
        assert!(Arguments::new([]).test);
    }
}
