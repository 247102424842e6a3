//! How many workers: a number, or a share of the CPUs.

use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::cpus::MAX_THREADS;

/// What `--workers` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workers {
    Number(NonZeroUsize),
    /// Of the CPUs, rounded down: what is left to others is at least the rest.
    Percent(usize),
    /// One for each CPU, but for so many.
    AllBut(usize),
}

impl Workers {
    /// How many these are where that many keep all CPUs busy: one at least.
    pub(super) fn of(self, available: usize) -> NonZeroUsize {
        let number = match self {
            Workers::Number(number) => return number,
            Workers::Percent(percent) => available * percent / 100,
            Workers::AllBut(left) => available.saturating_sub(left),
        };
        NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
    }
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Workers, String> {
        let workers = if let Some(left) = text.strip_prefix("all-") {
            left.parse().ok().map(Workers::AllBut)
        } else if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok();
            let percent = percent.filter(|percent| (1..=100).contains(percent));
            percent.map(Workers::Percent)
        } else if text == "all" {
            Some(Workers::AllBut(0))
        } else {
            let number = text.parse().ok();
            let number = number.filter(|number: &NonZeroUsize| number.get() <= MAX_THREADS);
            number.map(Workers::Number)
        };
        workers.ok_or_else(|| {
            format!("expected a whole number from 1 to {MAX_THREADS}, a share of the CPUs (1% to 100%), all, or all-1 for one fewer")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, available: usize) -> usize {
        let workers: Workers = text.parse().expect(text);
        workers.of(available).get()
    }

    #[test]
    fn shares_are_of_the_cpus_and_one_at_least() {
        for (text, of_one, of_eight, of_nine) in [
            ("3", 3, 3, 3),
            ("all", 1, 8, 9),
            ("all-1", 1, 7, 8),
            ("all-20", 1, 1, 1),
            ("50%", 1, 4, 4),
            ("100%", 1, 8, 9),
            ("1%", 1, 1, 1),
        ] {
            let each = (of(text, 1), of(text, 8), of(text, 9));
            assert_eq!(each, (of_one, of_eight, of_nine), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_taken() {
        for wrong in [
            "", "0", "-1", "10001", "0%", "101%", "%", "all-", "all-x", "all+1", "half", "1.5",
        ] {
            assert!(wrong.parse::<Workers>().is_err(), "{wrong:?}");
        }
    }
}
