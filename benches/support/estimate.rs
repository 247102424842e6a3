//! A rate of replies, or a ratio of two, with the error that luck alone gives it.
//!
//! How many seeds a reply takes is a geometric distribution: of n replies, all of them over all of their
//! seconds, the rate is known to one part in the square root of n. That is so of no other figure: a median of
//! rounds throws part of luck's evidence away, and its error is another one. So where luck counts, what is
//! estimated must be such a pooled rate.

use serde::Serialize;

use super::numbers::{short, whole};

/// From this error on luck counts: the rate must be a pooled one, and the error is shown.
pub(crate) const LUCK_COUNTS: f64 = 0.01;

/// A figure with its standard error.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    /// Its standard error by luck, as a part of it.
    pub(crate) luck: f64,
}

impl From<f64> for Estimate {
    /// A figure that luck has no part in.
    fn from(value: f64) -> Estimate {
        Estimate { value, luck: 0.0 }
    }
}

impl Estimate {
    /// The error of a rate that is known from so many replies at this difficulty.
    pub(crate) fn luck(replies: u64, difficulty: u8) -> f64 {
        let variance = 1.0 - 16f64.powi(-i32::from(difficulty));
        (variance / replies.max(1) as f64).sqrt()
    }

    /// The ratio of two that know nothing of each other.
    pub(crate) fn over(self, other: impl Into<Estimate>) -> Estimate {
        let other = other.into();
        Estimate {
            value: self.value / other.value,
            luck: self.luck.hypot(other.luck),
        }
    }

    /// The figure with its unit, and its error where that counts.
    pub(crate) fn with_error(self, unit: &str) -> String {
        let value = short(self.value);
        match self.luck {
            luck if luck >= LUCK_COUNTS => format!("{value}{unit} +-{:.0} %", luck * 100.0),
            _ => value + unit,
        }
    }

    /// The figure to the last digit that is worth its error or less, where there is no room for the error.
    pub(crate) fn rounded(self) -> String {
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
