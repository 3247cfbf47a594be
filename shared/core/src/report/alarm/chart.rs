//! A metric over time as a picture: what was measured, what is expected, and when the alarm began and ended.
//!
//! The picture is drawn by `plotters`, in colors that stand for those of the page. It has its own style sheet, so that it
//! can be read in light, in dark and on paper, and it is an image of its own, in which nothing can run.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::Pos;
use plotters::style::text_anchor::VPos;

use super::Series;
use crate::timestamp::Millis;

/// The size of the picture: it scales to the page's width.
const SIZE: (u32, u32) = (400, 220);
/// The size of its letters, which `plotters` divides by 1.24.
const LETTERS: f64 = 12.5 * 1.24;
/// How many dashes a dashed line has.
const DASHES: u32 = 28;
/// The colors of the page, which an image cannot see.
const STYLE: &str = ":root{--link:#2348b8;--good:#0f7048;--bad:#b0103a;--line:#dde1ea;--soft:#4f5a70}\
    @media (prefers-color-scheme:dark){:root{--link:#9dbbff;--good:#63d3a2;--bad:#ff8aa3;--line:#2c3548;--soft:#a5b0c6}}";
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

/// Draws a series as the address of an image. None if there is nothing to draw, or no picture comes of it.
pub(super) fn draw(series: &Series) -> Option<String> {
    let mut svg = String::new();
    plot(series, &mut svg)?;
    let svg = NAMES.iter().fold(svg, |svg, (color, name)| svg.replace(color, name)).replace('\n', "");
    let (head, rest) = svg.split_once('>')?;
    Some(address(&format!("{head}><style>{STYLE}</style>{rest}")))
}

/// An image as an address that holds it whole.
fn address(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len() * 5 / 4);
    out.push_str("data:image/svg+xml,");
    for c in svg.chars() {
        match c {
            '%' => out.push_str("%25"),
            '#' => out.push_str("%23"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '"' => out.push('\''),
            '\'' => out.push_str("%27"),
            '&' => out.push_str("%26"),
            c => out.push(c),
        }
    }
    out
}

fn plot(series: &Series, svg: &mut String) -> Option<()> {
    let ((from, _), (to, _)) = (series.points.first()?, series.points.last()?);
    let (from, to) = (axis(*from), axis(*to).max(axis(*from) + 1.0));
    let highest = series.values().fold(series.high.unwrap_or(0.0), f64::max);
    let lowest = series.values().fold(series.low.unwrap_or(0.0).min(0.0), f64::min);
    let room = (highest - lowest).max(1.0) * 0.08;
    let bottom = if lowest < 0.0 { lowest - room } else { 0.0 };
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d(from..to, bottom..highest + room)
        .ok()?;
    let font = ("sans-serif", LETTERS).into_font().color(&LABELS);
    let long = to - from > 36.0 * 3_600_000.0;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(4)
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
        chart.draw_series(dashes((from, limit), (to, limit), EXPECTED.stroke_width(2))).ok()?;
    }
    for at in [series.raised_at, series.ended_at].into_iter().flatten().map(axis) {
        if (from..=to).contains(&at) {
            let style = VIOLATED.stroke_width(1);
            chart.draw_series(dashes((at, bottom), (at, highest + room), style)).ok()?;
        }
    }
    let points = || series.points.iter().map(|(at, value)| (axis(*at), *value));
    chart.draw_series(LineSeries::new(points(), MEASURED.stroke_width(2))).ok()?;
    let outside = points().filter(|(_, value)| !series.expects(*value));
    chart.draw_series(outside.map(|point| Circle::new(point, 3, VIOLATED.filled()))).ok()?;
    if let Some(at) = series.raised_at.map(axis).filter(|at| (from..=to).contains(at)) {
        let style = ("sans-serif", LETTERS).into_font().color(&VIOLATED);
        let left = at - from < (to - from) / 2.0;
        let style = style.pos(Pos::new(if left { HPos::Left } else { HPos::Right }, VPos::Top));
        chart
            .draw_series([Text::new(if left { " alarm" } else { "alarm " }, (at, highest + room), style)])
            .ok()?;
    }
    drop(chart);
    area.present().ok()
}

/// A dashed line. That of `plotters` measures its dashes with a function that Lambda's C library does not have.
fn dashes(
    from: (f64, f64),
    to: (f64, f64),
    style: ShapeStyle,
) -> impl Iterator<Item = PathElement<(f64, f64)>> {
    let place = move |part: f64| (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
    let ends = (0..DASHES).map(|dash| (f64::from(dash) / f64::from(DASHES), 0.6 / f64::from(DASHES)));
    ends.map(move |(start, length)| PathElement::new(vec![place(start), place(start + length)], style))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch take 41 bits for a while yet")]
const fn axis(at: Millis) -> f64 {
    at.0 as f64
}

#[expect(clippy::cast_possible_truncation, reason = "it came from a time, and the cast saturates")]
const fn moment(at: f64) -> Millis {
    Millis(at as i64)
}

/// A time on the axis: the day where the picture is of several.
fn clock(at: f64, long: bool) -> String {
    let text = moment(at).rfc3339();
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../page.css");

    /// The colors of a style sheet, by name; those in dark after those in light.
    fn colors(css: &str, name: &str) -> Vec<[f64; 3]> {
        let name = format!("--{name}:");
        let found = css.split(&name).skip(1).map(|rest| rest.trim_start_matches([' ', '#']));
        let digits = found.map(|rest| rest.split([';', '}']).next().unwrap().trim().to_owned());
        let full =
            digits.map(|hex| if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex });
        let part =
            |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        full.map(|hex: String| [part(&hex, 0), part(&hex, 2), part(&hex, 4)]).collect()
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let light = |color: [f64; 3]| {
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])
        };
        let (a, b) = (light(one).max(light(other)), light(one).min(light(other)));
        (a + 0.05) / (b + 0.05)
    }

    #[test]
    fn the_colors_are_those_of_the_page_and_can_be_read() {
        let papers = colors(PAGE, "paper");
        for (name, least) in [("soft", 4.5), ("bad", 4.5), ("link", 3.0), ("good", 3.0)] {
            let own = colors(STYLE, name);
            assert_eq!(own.len(), 2, "{name}");
            assert_eq!(own, colors(PAGE, name)[..2], "{name}");
            for (own, paper) in own.into_iter().zip(&papers) {
                assert!(contrast(own, *paper) >= least, "{name}: {}", contrast(own, *paper));
            }
        }
    }

    #[test]
    fn an_address_has_nothing_that_ends_an_attribute() {
        assert_eq!(address("<a b=\"#1\">'%&</a>"), "data:image/svg+xml,%3Ca b='%231'%3E%27%25%26%3C/a%3E");
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_something_of_anything_else() {
        let series = |points: &[(i64, f64)]| Series {
            points: points.iter().map(|(at, value)| (Millis(*at), *value)).collect(),
            ..Series::default()
        };
        assert_eq!(draw(&series(&[])), None);
        for points in
            [&[(0, 0.0)][..], &[(0, 1e300), (1, -1e300)], &[(5, 3.0), (5, 3.0)], &[(0, f64::NAN), (1, 1.0)]]
        {
            let drawn = draw(&series(points));
            assert!(drawn.is_none_or(|svg| svg.starts_with("data:image/svg+xml,%3Csvg")), "{points:?}");
        }
    }

    #[test]
    fn amounts_are_short() {
        let amounts = [0.0, 0.5, 12.0, 9_999.0, 10_000.0, 1_234_567.0, -2.5e9, 1e13].map(amount);
        assert_eq!(amounts, ["0", "0.5", "12", "9999", "10k", "1.2M", "-2.5G", "10T"]);
    }
}
