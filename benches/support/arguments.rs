//! The arguments of a benchmark: which measurements they ask for, and where the results go.
//!
//! Nothing of the crate is used here: `summary` and a test, which include this file, need no more.

use std::path::{Path, PathBuf};

/// What was typed behind `--`, and what cargo adds to it.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// One very short round of everything, to see that it works: what `cargo test --benches` asks for.
    pub(crate) test: bool,
    /// The words of the measurements that are asked for; all of them when empty.
    words: Vec<String>,
}

impl Arguments {
    /// Those of this process.
    pub(crate) fn read() -> Arguments {
        Arguments::new(std::env::args().skip(1))
    }

    /// A filter is one argument or several.
    pub(crate) fn new(arguments: impl IntoIterator<Item = String>) -> Arguments {
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

    /// Whether the measurement of this name is asked for: it has all the words, whole and one behind the other.
    /// So `bare 1` is not `bare 16`, nor `hard 4` a `hard 5` with 4 in flight.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let name: Vec<&str> = name.split_whitespace().collect();
        self.words.is_empty() || name.windows(self.words.len()).any(|run| run == self.words)
    }

    /// The directory that results go to. That of a test is another one: it must not replace a measurement.
    pub(crate) fn results(&self) -> PathBuf {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let results = temporary.parent().unwrap_or(temporary).join("bench");
        match self.test {
            true => results.join("test"),
            false => results,
        }
    }
}
