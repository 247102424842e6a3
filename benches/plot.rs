//! The plot of the comparison: replies per second over difficulty, on a log scale, one panel for
//! each number of connections. Drawn twice by the same code, as SVG and as PNG; the PNG's letters
//! come from a font that a crate carries, since a fresh machine may have none.

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use powd_testkit::bench::{Estimate, whole};

use super::{Comparison, Outcome, Row};

type Error = Box<dyn std::error::Error>;
type Area<'a, B> = DrawingArea<B, Shift>;
type Panel<'a, B> =
    ChartContext<'a, B, Cartesian2d<RangedCoordf64, plotters::coord::combinators::LogCoord<f64>>>;

const SIZE: (u32, u32) = (1280, 640);
const FONT: &str = "sans-serif";
const POWD: RGBColor = RGBColor(0, 114, 178);
const PYTHON: RGBColor = RGBColor(213, 94, 0);
const PUBLISHED: RGBColor = RGBColor(130, 130, 130);
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(228, 228, 228);
/// The rates that have a place on the scale, at least. What gave no reply at all stands on the
/// lowest.
const FLOOR: f64 = 0.03;
const CEILING: f64 = 1_000_000.0;

/// One line of a panel: rates by difficulty, `None` where there was no reply.
struct Line {
    name: &'static str,
    colour: RGBColor,
    rates: Vec<Option<f64>>,
}

/// Draws both files into `directory`. A plot that cannot be drawn is no reason to lose the table.
pub(crate) fn draw(outcome: &Outcome, directory: &Path) -> Vec<PathBuf> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    if register_font(FONT, FontStyle::Normal, font).is_err() {
        eprintln!("plot: the font cannot be read");
        return Vec::new();
    }
    let (svg, png) = (
        directory.join("baseline.svg"),
        directory.join("baseline.png"),
    );
    let drawn = [
        (on(SVGBackend::new(&svg, SIZE), outcome), svg.clone()),
        (on(BitMapBackend::new(&png, SIZE), outcome), png.clone()),
    ];
    drawn
        .into_iter()
        .filter_map(|(result, path)| match result {
            Ok(()) => Some(path),
            Err(error) => {
                eprintln!("plot {}: {error}", path.display());
                None
            }
        })
        .collect()
}

fn on<B: DrawingBackend>(backend: B, outcome: &Outcome) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(100);
    title(&head, outcome)?;
    let panels = body.split_evenly((1, outcome.comparisons.len()));
    for (area, comparison) in panels.iter().zip(&outcome.comparisons) {
        panel(area, comparison, scale(outcome))?;
    }
    root.present()?;
    Ok(())
}

fn title<B: DrawingBackend>(area: &Area<'_, B>, outcome: &Outcome) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let conditions = &outcome.conditions;
    let rows = outcome.comparisons.iter().flat_map(|c| &c.rows);
    // Where the hash rate decides, and Python still gives enough replies for more than luck.
    let hard = rows.filter(|row| (3..=4).contains(&row.difficulty));
    let mut ratios: Vec<Estimate> = hard.filter_map(Row::ratio).collect();
    ratios.sort_by(|a, b| a.value.total_cmp(&b.value));
    let claim = match (ratios.first(), ratios.last()) {
        (Some(low), Some(high)) => format!(
            "Proofs of work per second: powd gives {} to {} times what the Python server gave",
            low.rounded(),
            high.rounded()
        ),
        _ => "Proofs of work per second: powd and the Python server it replaces".to_owned(),
    };
    // Two lines: other machines have longer names, and an SVG is shown with whatever font there is.
    let how = format!(
        "Both servers on one machine, in turn, under the same load, each reply checked. {}: {} CPUs, {}.",
        conditions.date, conditions.cpus, conditions.cpu
    );
    let key = "In blue how many times Python's rate powd's is, or its replies per second where Python gave none. The heading is for difficulties 3 and 4.";
    text(area, &claim, (24, 16), 27, INK)?;
    text(area, &how, (24, 54), 15, INK)?;
    text(area, key, (24, 76), 15, INK)?;
    Ok(())
}

/// The rates from the bottom to the top of all panels: room for each point, and for the legend
/// above them.
fn scale(outcome: &Outcome) -> Range<f64> {
    let lines = outcome.comparisons.iter().flat_map(lines);
    let rates: Vec<f64> = lines.flat_map(|line| line.rates).flatten().collect();
    let lowest = rates.iter().copied().fold(2.0 * FLOOR, f64::min);
    let highest = rates.iter().copied().fold(0.0, f64::max);
    let decade = 10f64.powf((highest * 8.0).max(1.0).log10().ceil());
    lowest / 2.0..decade.max(CEILING)
}

fn panel<B: DrawingBackend>(
    area: &Area<'_, B>,
    comparison: &Comparison,
    scale: Range<f64>,
) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_top(36)
        .x_label_area_size(46)
        .y_label_area_size(78)
        .build_cartesian_2d(-0.25f64..6.95, scale.clone().log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style((FONT, 16).into_font().color(&INK))
        .x_labels(8)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|&y| if y < 1.0 { y.to_string() } else { whole(y) })
        .y_labels(8)
        .x_desc("difficulty: leading zeros of the hash (each one more is 16 times the work)")
        .y_desc("replies per second, log scale")
        .draw()?;
    text(area, &comparison.heading(), (92, 10), 20, INK)?;
    let lines = lines(comparison);
    for line in &lines {
        draw_line(&mut chart, line, scale.start)?;
    }
    for row in &comparison.rows {
        label_ratio(&mut chart, row, scale.start)?;
    }
    name_lines(&mut chart, &lines, scale.end)
}

fn lines(comparison: &Comparison) -> Vec<Line> {
    let rows = || comparison.rows.iter();
    let some = |rate: f64| (rate > 0.0).then_some(rate);
    let mut lines = vec![Line {
        name: "Python, published (other machine)",
        colour: PUBLISHED,
        rates: rows()
            .map(|row| some(row.published_replies_per_s))
            .collect(),
    }];
    if rows().all(|row| row.python.is_some()) {
        let rate = |row: &Row| {
            row.python
                .as_ref()
                .and_then(|side| some(side.replies_per_s.value))
        };
        lines.push(Line {
            name: "Python, here",
            colour: PYTHON,
            rates: rows().map(rate).collect(),
        });
    }
    lines.push(Line {
        name: "powd, here",
        colour: POWD,
        rates: rows()
            .map(|row| some(row.powd.replies_per_s.value))
            .collect(),
    });
    lines
}

fn draw_line<B: DrawingBackend>(
    chart: &mut Panel<'_, B>,
    line: &Line,
    floor: f64,
) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let points: Vec<(f64, f64)> = (0u8..)
        .zip(&line.rates)
        .filter_map(|(x, rate)| rate.map(|rate| (f64::from(x), rate)))
        .collect();
    let style = line
        .colour
        .stroke_width(if line.name.starts_with("powd") { 4 } else { 2 });
    chart.draw_series(LineSeries::new(points.clone(), style))?;
    chart.draw_series(
        points
            .iter()
            .map(|&at| Circle::new(at, 4, line.colour.filled())),
    )?;
    for (x, _) in (0u8..).zip(&line.rates).filter(|(_, rate)| rate.is_none()) {
        let at = (f64::from(x), floor);
        chart.draw_series([Cross::new(at, 6, line.colour.stroke_width(2))])?;
    }
    Ok(())
}

/// The ratio on that side of powd's point where Python's is not; above the floor's crosses, what
/// they mean.
fn label_ratio<B: DrawingBackend>(
    chart: &mut Panel<'_, B>,
    row: &Row,
    floor: f64,
) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let x = f64::from(row.difficulty);
    let label = match row.ratio() {
        Some(ratio) => format!("{} \u{d7}", ratio.rounded()),
        None if row.powd.replies > 0 => row.powd.replies_per_s.rounded() + "/s",
        None => String::new(),
    };
    let (side, distance) = match row.ratio() {
        Some(ratio) if ratio.value < 1.0 => (VPos::Top, 1.0 / 1.35),
        _ => (VPos::Bottom, 1.35),
    };
    let style = (FONT, 18)
        .into_font()
        .color(&POWD)
        .pos(Pos::new(HPos::Left, side));
    let at = (x + 0.06, row.powd.replies_per_s.value * distance);
    chart.draw_series([Text::new(label, at, style)])?;
    if row.python.as_ref().is_none_or(|side| side.replies == 0) {
        let style = (FONT, 15)
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Center, VPos::Bottom));
        chart.draw_series([Text::new("no reply", (x, floor * 1.6), style)])?;
    }
    Ok(())
}

/// A legend inside the panel, in its empty upper right corner, in the order of the lines from the
/// top.
fn name_lines<B: DrawingBackend>(
    chart: &mut Panel<'_, B>,
    lines: &[Line],
    ceiling: f64,
) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let mut y = ceiling / 1.8;
    for line in lines.iter().rev() {
        let style = (FONT, 16)
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([PathElement::new(
            [(3.1, y), (3.4, y)],
            line.colour.stroke_width(4),
        )])?;
        chart.draw_series([Text::new(line.name, (3.5, y), style)])?;
        y /= 2.2;
    }
    Ok(())
}

fn text<B: DrawingBackend>(
    area: &Area<'_, B>,
    words: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Result<(), Error>
where
    B::ErrorType: 'static,
{
    let style = (FONT, size).into_font().color(&colour);
    area.draw_text(words, &style, at)?;
    Ok(())
}
