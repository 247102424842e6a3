//! What can be typed after a flag, and what its user is told when it cannot.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::pow::Seed;

/// A number of something there must be one of.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "expected a whole number of 1 or more".to_owned())
}

/// Any 64-bit number.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// The length of a seed.
pub(super) fn seed_length(text: &str) -> Result<usize, String> {
    within(text, 1..=Seed::MAX_LENGTH)
}

/// A whole number within a range.
pub(super) fn within(text: &str, allowed: RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        format!(
            "expected a whole number from {} to {}",
            allowed.start(),
            allowed.end()
        )
    })
}

/// A time with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a time with its unit: 300ms, 2s, 5m".to_owned())
}

/// A time with its unit, above 0.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a time above 0 with its unit: 300ms, 2s, 5m".to_owned())
}

/// A time in seconds, or with its unit, above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = plain.or_else(|| humantime::parse_duration(text).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a number of seconds above 0: 3, 0.5, 300ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_begin_with_one() {
        assert_eq!(count("2").map(usize::from), Ok(2));
        for wrong in ["0", "-1", "", "x", "1.5"] {
            assert!(count(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["5", "", "fast", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_do_not_and_are_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3s"), Ok(Duration::from_secs(3)));
        for wrong in ["0", "-1", "nan", "inf", "0s", ""] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(seed_length("16"), Ok(16));
        assert!(seed_length("0").is_err() && seed_length("17").is_err());
        assert_eq!(within("7", 7..=8), Ok(7));
        assert!(within("6", 7..=8).is_err() && within("9", 7..=8).is_err());
    }
}
