//! What can be typed after a flag, and what its user is told when it cannot.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::cpus::{self, MAX_THREADS};
use crate::engine::MessageBytes;
use crate::load::RATES;

/// No server takes longer messages.
pub(super) const MAX_MESSAGE_BYTES: usize = MessageBytes::MAX.get();

/// A number of something there must be one of.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "expected a whole number of 1 or more".to_owned())
}

/// A flag, as an environment variable sets it.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Any 64-bit number.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// The longest time. Far above any use, and far below where sums of times overflow.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    within(text, 1..=MAX_THREADS)
}

/// CPUs as typed, `0-5,8`. (A bare `Vec` would be a flag given several times.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CpuList(pub(super) Vec<usize>);

impl FromStr for CpuList {
    type Err = cpus::ListError;

    fn from_str(text: &str) -> Result<CpuList, cpus::ListError> {
        cpus::parse(text).map(CpuList)
    }
}

/// The length of the messages that a measurement is made with.
pub(super) fn message_bytes(text: &str) -> Result<usize, String> {
    within(text, 0..=MAX_MESSAGE_BYTES)
}

/// Requests per second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| RATES.contains(number));
    number.ok_or_else(|| {
        format!(
            "expected a number from {} to {}",
            RATES.start(),
            RATES.end()
        )
    })
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
    with_unit(text)
        .ok_or_else(|| "expected a time with its unit: 300ms, 2s, 5m, up to 365d".to_owned())
}

/// A time with its unit, above 0.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    with_unit(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| {
            "expected a time above 0 with its unit: 300ms, 2s, 5m, up to 365d".to_owned()
        })
}

fn with_unit(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| *time <= MAX_TIME)
}

/// A time in seconds, or with its unit, above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_up_to(MAX_TIME, text)
}

/// The same, up to an hour.
pub(super) fn seconds_of_an_hour(text: &str) -> Result<Duration, String> {
    seconds_up_to(Duration::from_secs(60 * 60), text)
}

fn seconds_up_to(longest: Duration, text: &str) -> Result<Duration, String> {
    let plain = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = plain.or_else(|| humantime::parse_duration(text).ok());
    time.filter(|time| !time.is_zero() && *time <= longest)
        .ok_or_else(|| {
            let longest = longest.as_secs();
            format!("expected a number of seconds above 0, up to {longest}: 3, 0.5, 300ms")
        })
}

/// Reads the file of `--nats-creds`.
#[cfg(feature = "nats")]
pub(super) fn credentials(
    path: Option<&std::path::Path>,
) -> Result<Option<crate::cluster::Credentials>, super::Error> {
    let read = |path: &std::path::Path| {
        let failed = |error: &dyn std::error::Error| {
            super::Error::Usage(format!("--nats-creds {}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        crate::cluster::Credentials::parse(text).map_err(|error| failed(&error))
    };
    path.map(read).transpose()
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
        assert_eq!(duration("365d"), Ok(MAX_TIME));
        for wrong in ["5", "", "fast", "-1s", "366d", "18446744073709551615s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_do_not_and_are_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3s"), Ok(Duration::from_secs(3)));
        for wrong in ["0", "-1", "nan", "inf", "0s", "", "366d"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
        assert!(seconds_of_an_hour("3600").is_ok() && seconds_of_an_hour("3601").is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for wrong in ["", "x", "0", "-1", "nan", "inf", "1e10"] {
            assert!(rate(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(within("7", 7..=8), Ok(7));
        assert!(within("6", 7..=8).is_err() && within("9", 7..=8).is_err());
    }
}
