//! What a request may ask for, at the doors that have room to say what is wrong with it. Each has
//! its own way to write it down.

use std::time::Duration;

use powd_core::Difficulty;

use crate::problem::{Code, Problem};

/// A difficulty of so many zeros, of at most `max`. `None`: no such number was written.
pub(crate) fn difficulty(nibbles: Option<u8>, max: Difficulty) -> Result<Difficulty, Problem> {
    let difficulty = nibbles.and_then(|nibbles| Difficulty::new(nibbles).ok());
    let difficulty = difficulty.filter(|difficulty| *difficulty <= max);
    difficulty.ok_or_else(|| {
        let detail = format!("a difficulty is a whole number, here from 0 to {max}");
        Problem::new(Code::Difficulty, detail)
    })
}

/// The longest search: a time with its unit, which can only shorten that of the service.
pub(crate) fn deadline(
    asked: Option<&str>,
    of_service: Option<Duration>,
) -> Result<Option<Duration>, Problem> {
    let asked = asked.map(|text| {
        let time = humantime::parse_duration(text).ok();
        time.filter(|time| !time.is_zero()).ok_or_else(|| {
            Problem::malformed("a deadline is a time above 0 with its unit: 300ms, 5s, 2m")
        })
    });
    Ok(asked.transpose()?.into_iter().chain(of_service).min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_can_only_be_shortened() {
        let second = Some(Duration::from_secs(1));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(deadline(None, None), Ok(None));
        assert_eq!(deadline(Some("1s"), None), Ok(second));
        assert_eq!(deadline(None, second), Ok(second));
        assert_eq!(deadline(Some("1m"), second), Ok(second));
        assert_eq!(deadline(Some("1s"), minute), Ok(second));
        for wrong in ["", "0s", "5", "-1s", "soon"] {
            assert!(deadline(Some(wrong), second).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_difficulty_is_bounded() {
        let max = Difficulty::of::<10>();
        assert_eq!(difficulty(Some(10), max), Ok(max));
        for wrong in [None, Some(11), Some(65)] {
            assert!(difficulty(wrong, max).is_err(), "{wrong:?}");
        }
    }
}
