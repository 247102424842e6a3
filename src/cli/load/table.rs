//! What a run measured, as a table for a person. It knows nothing of flags.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indicatif::HumanCount;

use crate::load::Report;

/// The result for a person.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(report, &mut text);
    text
}

fn write_table(report: &Report, out: &mut String) -> std::fmt::Result {
    let pace = match report.rate {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {} requests/s", grouped(rate)),
    };
    let requests = match report.requests {
        None => String::new(),
        Some(requests) => format!("{} over ", several(requests, "request")),
    };
    let connections = several(report.connections as u64, "connection");
    let use_of_each = if report.reconnect {
        "at a time, a new one for each request".to_owned()
    } else {
        format!("x {} in flight", HumanCount(report.pipeline as u64))
    };
    writeln!(
        out,
        "{}: {requests}{connections} {use_of_each}, messages of {}, {pace}, {}, {:.2} s",
        report.address,
        several(report.message_bytes as u64, "byte"),
        several(report.threads as u64, "thread"),
        report.seconds,
    )?;
    writeln!(
        out,
        "replies    {:>15}",
        HumanCount(report.replies).to_string()
    )?;
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
            HumanCount(report.lost).to_string(),
            time(report.longest_lost_ms)
        )?;
    }
    if report.unanswered > 0 {
        let when = match report.gone {
            true => "when the server was gone for",
            false => "at the end, the oldest for",
        };
        writeln!(
            out,
            "unanswered {:>15}  {when} {}",
            HumanCount(report.unanswered).to_string(),
            time(report.oldest_unanswered_ms)
        )?;
    }
    if !report.reconnect && (report.open_at_end as usize) < report.connections {
        writeln!(
            out,
            "open       {:>15}  of {connections} at the end",
            HumanCount(report.open_at_end).to_string()
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
    let total = HumanCount(named.values().sum::<u64>()).to_string();
    let list: Vec<String> = named
        .iter()
        .map(|(name, &number)| format!("{name} {}", HumanCount(number)))
        .collect();
    let list = list.join(", ");
    writeln!(
        out,
        "{}",
        format!("{title:<10} {total:>15}  {list}").trim_end()
    )
}

/// So many of something that has a regular plural.
fn several(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number))
}

/// A number in groups of three digits; small ones with two decimals.
pub(super) fn grouped(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.2}");
    }
    // Rates are far below the numbers that would not fit.
    HumanCount(number.round_ties_even() as u64).to_string()
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
    use crate::load::{Latency, Wrong};

    /// A run in which all that can be told has happened.
    fn report() -> Report {
        let errors = [("ECONNRESET", 36_287), ("timeout", 2)];
        Report {
            address: "127.0.0.1:20000".to_owned(),
            connections: 1000,
            open_at_end: 998,
            pipeline: 1,
            threads: 2,
            message_bytes: 20,
            difficulty: Some(3),
            requests: None,
            reconnect: false,
            rate: None,
            seconds: 3.0,
            replies: 10_342,
            replies_per_s: 3447.3,
            hashes_per_s: Some(14_120_140.8),
            luck_error: Some(0.0316),
            latency: Latency {
                p50_ms: 0.5,
                p90_ms: 9.0,
                p99_ms: 99.0,
                p999_ms: 999.0,
                max_ms: 60_000.0,
                mean_ms: 3.0,
            },
            lost: 1234,
            longest_lost_ms: 30_000.0,
            unanswered: 5678,
            oldest_unanswered_ms: 45.0,
            gone: false,
            errors: errors
                .map(|(name, number)| (name.to_owned(), number))
                .into(),
            wrong: Wrong {
                total: 0,
                kinds: BTreeMap::new(),
                samples: Vec::new(),
            },
        }
    }

    #[test]
    fn a_table_has_a_row_for_all_that_happened() {
        let expected = "\
127.0.0.1:20000: 1,000 connections x 1 in flight, messages of 20 bytes, closed loop, 2 threads, 3.00 s
replies             10,342
replies/s            3,447
hashes/s        14,120,141  (replies/s x 16^3, +-3.16 % by luck)
p50                 500 us
p90                9.00 ms
p99                  99 ms
p99.9               999 ms
max                 60.0 s
lost                 1,234  with their connections, after up to 30.0 s without a reply
unanswered           5,678  at the end, the oldest for 45 ms
open                   998  of 1,000 connections at the end
errors              36,289  ECONNRESET 36,287, timeout 2
wrong                    0
";
        assert_eq!(table(&report()), expected);
    }

    #[test]
    fn a_server_that_is_gone_is_told_of() {
        let gone = Report {
            gone: true,
            ..report()
        };
        let row = "\nunanswered           5,678  when the server was gone for 45 ms\n";
        assert!(table(&gone).contains(row));
    }

    #[test]
    fn what_did_not_happen_has_no_row() {
        let nothing = Report {
            connections: 1,
            open_at_end: 0,
            threads: 1,
            message_bytes: 1,
            difficulty: None,
            rate: Some(2500.0),
            replies: 0,
            replies_per_s: 0.0,
            lost: 0,
            unanswered: 0,
            errors: BTreeMap::new(),
            ..report()
        };
        let expected = "\
127.0.0.1:20000: 1 connection x 1 in flight, messages of 1 byte, open loop at 2,500 requests/s, 1 thread, 3.00 s
replies                  0
replies/s                0
open                     0  of 1 connection at the end
errors                   0
wrong                    0
";
        assert_eq!(table(&nothing), expected);
    }

    #[test]
    fn the_first_line_says_what_was_counted_and_what_reconnected() {
        let counted = Report {
            requests: Some(10_342),
            reconnect: true,
            ..report()
        };
        let text = table(&counted);
        let expected = "127.0.0.1:20000: 10,342 requests over 1,000 connections at a time, a new one for each \
            request, messages of 20 bytes, closed loop, 2 threads, 3.00 s";
        assert_eq!(text.lines().next(), Some(expected));
        assert!(!text.contains("open "), "they come and go: {text}");
    }

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
