//! Curves over time as SVG, with marks where something happened.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use vocab::Timestamp;

use crate::failure::Failure;

const SIZE: (u32, u32) = (960, 240);
const DAY_MS: f64 = 86_400_000.0;
const LATE: f64 = 0.85; // Of the span: from there on a label stands before its mark.
const HEADROOM: f64 = 1.15; // Above the highest value.

/// A value over time.
#[derive(Debug, Default)]
pub(super) struct Curve(Vec<(Timestamp, f64)>);

impl Curve {
    pub(super) fn push(&mut self, time: Timestamp, value: f64) {
        self.0.push((time, value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a mark tells of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    Gate,
    Pause,
    Resume,
    Rollback,
}

impl Tone {
    const fn color(self) -> RGBColor {
        match self {
            Self::Gate => RGBColor(0x2a, 0x7d, 0x4f),
            Self::Pause => RGBColor(0xc0, 0x7a, 0x00),
            Self::Resume => RGBColor(0x2b, 0x6c, 0xb0),
            Self::Rollback => RGBColor(0xb8, 0x2e, 0x2e),
        }
    }
}

/// A moment at which something happened.
#[derive(Debug)]
pub(super) struct Mark {
    time: Timestamp,
    tone: Tone,
    label: String,
}

impl Mark {
    pub(super) fn new(time: Timestamp, tone: Tone, label: &str) -> Self {
        Self { time, tone, label: label.to_owned() }
    }
}

/// What a plot shows.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) curve: &'a Curve,
    pub(super) marks: &'a [Mark],
    /// From when to when.
    pub(super) span: (Timestamp, Timestamp),
    /// The value keeps from one point to the next, instead of moving between them.
    pub(super) stepped: bool,
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
fn days(from: Timestamp, at: Timestamp) -> f64 {
    (at.as_millis() - from.as_millis()) as f64 / DAY_MS
}

/// Draws a plot.
pub(super) fn draw(plot: &Plot<'_>) -> Result<String, Failure> {
    let mut svg = String::new();
    drawn(plot, &mut svg).map_err(|why| Failure::refused(format!("cannot draw: {why}")))?;
    Ok(svg)
}

fn drawn(plot: &Plot<'_>, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let (from, to) = plot.span;
    let end = days(from, to).max(1.0 / 24.0);
    let highest = plot.curve.0.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * HEADROOM } else { 1.0 };
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .caption(plot.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .x_desc("days since the start")
        .x_labels(12)
        .y_labels(5)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .draw()?;
    for (index, mark) in plot.marks.iter().enumerate() {
        let at = days(from, mark.time);
        let color = mark.tone.color();
        chart.draw_series(LineSeries::new([(at, 0.0), (at, top)], color.mix(0.6)))?;
        // Labels at three heights: those close to each other stay readable.
        let height = top * [0.98, 0.88, 0.78][index % 3];
        let style = ("sans-serif", 11).into_font().color(&color);
        let side = if at > end * LATE { HPos::Right } else { HPos::Left };
        let style = style.pos(Pos::new(side, VPos::Top));
        chart.draw_series([Text::new(mark.label.clone(), (at, height), style)])?;
    }
    let mut points = Vec::new();
    for (time, value) in &plot.curve.0 {
        let at = days(from, *time);
        if plot.stepped
            && let Some((_, before)) = points.last().copied()
        {
            points.push((at, before));
        }
        points.push((at, *value));
    }
    if plot.stepped
        && let Some((_, last)) = points.last().copied()
    {
        points.push((end, last));
    }
    let ink = RGBColor(0x1f, 0x3a, 0x5f);
    chart.draw_series(LineSeries::new(points, ink.stroke_width(2)))?;
    root.present()?;
    Ok(())
}
