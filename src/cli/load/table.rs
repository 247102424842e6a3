//! What a run measured, as a table for a person. It knows nothing of flags.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::digits::whole;
use crate::load::Report;

/// The result for a person.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(report, &mut text);
    text
}

fn write_table(report: &Report, out: &mut String) -> std::fmt::Result {
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let pace = match report.rate {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {} requests/s", grouped(rate)),
    };
    writeln!(
        out,
        "{}: {} connection{} x {} in flight, messages of {} bytes, {pace}, {} thread{}, {:.2} s",
        report.address,
        report.connections,
        plural(report.connections),
        report.pipeline,
        report.message_bytes,
        report.threads,
        plural(report.threads),
        report.seconds,
    )?;
    writeln!(out, "replies    {:>15}", grouped(report.replies as f64))?;
    writeln!(out, "replies/s  {:>15}", grouped(report.replies_per_s))?;
    if let (Some(difficulty), Some(hashes)) = (report.difficulty, report.hashes_per_s) {
        let luck = match report.luck_error {
            Some(luck) if luck > 0.0 => format!(", +-{:.2} % by luck", luck * 100.0),
            _ => String::new(),
        };
        writeln!(
            out,
            "hashes/s   {:>15}  (replies/s x 16^{difficulty}{luck})",
            grouped(hashes)
        )?;
    }
    let latency = &report.latency;
    let percentiles = [
        ("p50", latency.p50_ms),
        ("p90", latency.p90_ms),
        ("p99", latency.p99_ms),
        ("p99.9", latency.p999_ms),
        ("max", latency.max_ms),
    ];
    for (name, value) in percentiles.iter().filter(|_| report.replies > 0) {
        writeln!(out, "{name:<10} {:>15}", time(*value))?;
    }
    if report.lost > 0 {
        writeln!(
            out,
            "lost       {:>15}  with their connections, after up to {} without a reply",
            grouped(report.lost as f64),
            time(report.longest_lost_ms)
        )?;
    }
    if report.unanswered > 0 {
        writeln!(
            out,
            "unanswered {:>15}  at the end, the oldest for {}",
            grouped(report.unanswered as f64),
            time(report.oldest_unanswered_ms)
        )?;
    }
    if (report.open_at_end as usize) < report.connections {
        writeln!(
            out,
            "open       {:>15}  of {} connections at the end",
            report.open_at_end, report.connections
        )?;
    }
    counts(out, "errors", &report.errors)?;
    counts(out, "wrong", &report.wrong.kinds)?;
    for sample in &report.wrong.samples {
        writeln!(
            out,
            "  asked \"{}\", got \"{}\": {}",
            sample.asked, sample.received, sample.flaw
        )?;
    }
    Ok(())
}

fn counts(out: &mut String, title: &str, named: &BTreeMap<String, u64>) -> std::fmt::Result {
    let total: u64 = named.values().sum();
    let list: Vec<String> = named
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    let list = list.join(", ");
    writeln!(
        out,
        "{}",
        format!("{title:<10} {total:>15}  {list}").trim_end()
    )
}

/// A number in groups of three digits; small ones with two decimals.
pub(super) fn grouped(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.2}");
    }
    whole(number)
}

/// Milliseconds with a unit that leaves few digits.
pub(super) fn time(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 1.0 => format!("{:.0} us", ms * 1e3),
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        for (number, text) in [
            (0.0, "0"),
            (2.383, "2.38"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (42011.45, "42,011"),
            (1234567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(time(0.0123), "12 us");
        assert_eq!(time(45_000.0), "45.0 s");
    }
}
