//! Numbers and tables as people read them.

use indicatif::HumanCount;

/// The nearest whole number, its digits in groups of three.
pub fn whole(number: f64) -> String {
    HumanCount(number.round() as u64).to_string()
}

/// Three digits or more, with commas: 0.167, 52.3, 42,011.
pub fn short(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n < 1.0 => format!("{n:.3}"),
        n if n < 10.0 => format!("{n:.2}"),
        n if n < 100.0 => format!("{n:.1}"),
        n => whole(n),
    }
}

/// Milliseconds with a unit.
pub fn time(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 1.0 => format!("{:.0} us", ms * 1e3),
        ms if ms < 1000.0 => format!("{} ms", short(ms)),
        ms => format!("{} s", short(ms / 1e3)),
    }
}

/// A table in Markdown whose columns line up in a terminal as well; the first column to the left.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate();
        let padded = padded.map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(header.to_vec());
    let rule = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| match column {
            0 => "-".repeat(width),
            _ => format!("{}:", "-".repeat(width - 1)),
        });
    text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}
