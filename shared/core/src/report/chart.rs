//! A metric over time as a picture: what was measured, what is expected, and when the alarm began and ended.
//!
//! The picture is drawn by `plotters`, in colors that stand for those of the page, so that it can be read in light, in
//! dark and on paper.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::Pos;
use plotters::style::text_anchor::VPos;

use super::alarm::Series;
use crate::timestamp::Millis;

/// The size of the picture: it scales to the page's width.
const SIZE: (u32, u32) = (520, 240);
/// Colors that no picture has otherwise, and what the page calls them.
const MEASURED: RGBColor = RGBColor(1, 2, 3);
const EXPECTED: RGBColor = RGBColor(4, 5, 6);
const VIOLATED: RGBColor = RGBColor(7, 8, 9);
const LINES: RGBColor = RGBColor(10, 11, 12);
const LABELS: RGBColor = RGBColor(13, 14, 15);
const NAMES: [(&str, &str); 5] = [
    ("#010203", "var(--link)"),
    ("#040506", "var(--good)"),
    ("#070809", "var(--bad)"),
    ("#0A0B0C", "var(--line)"),
    ("#0D0E0F", "var(--soft)"),
];

/// Draws a series. None if there is nothing to draw, or no picture comes of it.
pub(super) fn draw(series: &Series) -> Option<String> {
    let mut svg = String::new();
    plot(series, &mut svg)?;
    let (width, height) = SIZE;
    // Without a size of its own the picture takes the width that there is.
    let svg = svg.replacen(&format!("width=\"{width}\" height=\"{height}\" "), "", 1);
    let svg = NAMES.iter().fold(svg, |svg, (color, name)| svg.replace(color, name));
    Some(svg.replace('\n', ""))
}

fn plot(series: &Series, svg: &mut String) -> Option<()> {
    let (from, to) = (series.points.first()?.0, series.points.last()?.0);
    let (from, to) = (from.0 as f64, (to.0 as f64).max(from.0 as f64 + 1.0));
    let highest = series.values().fold(series.high.unwrap_or(0.0), f64::max);
    let lowest = series.values().fold(series.low.unwrap_or(0.0).min(0.0), f64::min);
    let room = (highest - lowest).max(1.0) * 0.08;
    let bottom = if lowest < 0.0 { lowest - room } else { 0.0 };
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(from..to, bottom..highest + room)
        .ok()?;
    let font = ("sans-serif", 13).into_font().color(&LABELS);
    let long = to - from > 36.0 * 3_600_000.0;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(5)
        .y_labels(5)
        .axis_style(LINES)
        .bold_line_style(LINES)
        .light_line_style(TRANSPARENT)
        .label_style(font)
        .x_label_formatter(&|at| clock(*at, long))
        .y_label_formatter(&|value| amount(*value))
        .draw()
        .ok()?;
    for limit in [series.low, series.high].into_iter().flatten() {
        chart
            .draw_series(DashedLineSeries::new([(from, limit), (to, limit)], 6, 4, EXPECTED.stroke_width(2)))
            .ok()?;
    }
    for at in [series.raised_at, series.ended_at].into_iter().flatten().map(|at| at.0 as f64) {
        if (from..=to).contains(&at) {
            let whole = [(at, bottom), (at, highest + room)];
            chart.draw_series(DashedLineSeries::new(whole, 3, 3, VIOLATED.stroke_width(1))).ok()?;
        }
    }
    let points = || series.points.iter().map(|(at, value)| (at.0 as f64, *value));
    chart.draw_series(LineSeries::new(points(), MEASURED.stroke_width(2))).ok()?;
    let outside = points().filter(|(_, value)| !series.expects(*value));
    chart.draw_series(outside.map(|point| Circle::new(point, 3, VIOLATED.filled()))).ok()?;
    if let Some(at) = series.raised_at.map(|at| at.0 as f64).filter(|at| (from..=to).contains(at)) {
        let style = ("sans-serif", 13).into_font().color(&VIOLATED);
        let left = at - from < (to - from) / 2.0;
        let style = style.pos(Pos::new(if left { HPos::Left } else { HPos::Right }, VPos::Top));
        chart
            .draw_series([Text::new(if left { " alarm" } else { "alarm " }, (at, highest + room), style)])
            .ok()?;
    }
    drop(chart);
    area.present().ok()
}

/// A time on the axis: the day where the picture is of several.
fn clock(at: f64, long: bool) -> String {
    let text = Millis(at as i64).rfc3339();
    let part = if long { text.get(5..10) } else { text.get(11..16) };
    part.unwrap_or_default().to_owned()
}

/// A number in as few characters as tell it.
pub(super) fn amount(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        _ if size >= 1e12 => (value / 1e12, "T"),
        _ if size >= 1e9 => (value / 1e9, "G"),
        _ if size >= 1e6 => (value / 1e6, "M"),
        _ if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = if scaled.fract().abs() < 0.05 { format!("{scaled:.0}") } else { format!("{scaled:.1}") };
    format!("{text}{unit}")
}
