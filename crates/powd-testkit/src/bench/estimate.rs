//! A rate of replies, or a ratio of two, with the error that luck alone gives it.
//!
//! How many seeds a reply takes is a geometric distribution: of n replies, all of them over all of
//! their seconds, the rate is known to one part in the square root of n. That is so of no other
//! figure: a median of rounds throws part of luck's evidence away, and its error is another one. So
//! where luck counts, what is estimated must be such a pooled rate.

use serde::Serialize;

use super::{short, whole};

/// From this error on luck counts: the rate must be a pooled one, and the error is shown.
pub const LUCK_COUNTS: f64 = 0.01;

/// A figure with its standard error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its standard error by luck, as a part of it.
    pub luck: f64,
}

impl From<f64> for Estimate {
    /// A figure that luck has no part in.
    fn from(value: f64) -> Estimate {
        Estimate { value, luck: 0.0 }
    }
}

impl Estimate {
    /// The error of a rate that is known from so many replies at this difficulty.
    pub fn luck(replies: u64, difficulty: u8) -> f64 {
        let variance = 1.0 - 16f64.powi(-i32::from(difficulty));
        (variance / replies.max(1) as f64).sqrt()
    }

    /// The ratio of two that know nothing of each other.
    pub fn over(self, other: impl Into<Estimate>) -> Estimate {
        let other = other.into();
        Estimate {
            value: self.value / other.value,
            luck: self.luck.hypot(other.luck),
        }
    }

    /// The figure with its unit, and its error where that counts.
    pub fn with_error(self, unit: &str) -> String {
        let value = short(self.value);
        match self.luck {
            luck if luck >= LUCK_COUNTS => format!("{value}{unit} +-{:.0} %", luck * 100.0),
            _ => value + unit,
        }
    }

    /// The figure to the last digit that is worth its error or less, where there is no room for the
    /// error.
    pub fn rounded(self) -> String {
        if self.luck < LUCK_COUNTS || self.value <= 0.0 {
            return short(self.value);
        }
        let decimals = -(self.value * self.luck).log10().floor() as i32;
        match usize::try_from(decimals) {
            Ok(decimals) => format!("{:.decimals$}", self.value),
            Err(_) => {
                let unit = 10f64.powi(-decimals);
                whole((self.value / unit).round() * unit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
