//! The curves as an SVG: no fonts and no image libraries of the system needed.

use super::Curve;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const SIZE: (u32, u32) = (1000, 560);
/// One a loss; with two threads paler and thinner.
const COLOURS: [RGBColor; 3] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 92, 20),
    RGBColor(44, 150, 44),
];

/// Draws nanoseconds an element over the number of elements, both logarithmic.
pub(crate) fn draw(curves: &[Curve], path: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let powers = || points().map(|point| f64::from(point.0));
    let times = || points().map(|point| point.1);
    let x = powers().fold(f64::MAX, f64::min)..powers().fold(f64::MIN, f64::max);
    let y = times().fold(f64::MAX, f64::min) / 1.3..times().fold(f64::MIN, f64::max) * 1.3;

    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let marks = marks(y.start, y.end);
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Loss and gradient, f32: time of an element",
            ("sans-serif", 18),
        )
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x.clone(), y.log_scale().with_key_points(marks))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels((x.end - x.start) as usize / 2 + 1)
        .x_label_formatter(&|power| format!("2^{power:.0}"))
        .y_label_formatter(&|time| format!("{time}"))
        .x_desc("elements")
        .y_desc("nanoseconds an element")
        .draw()?;
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number / 2 % COLOURS.len()];
        let style = match curve.threads {
            1 => colour.stroke_width(3),
            _ => colour.mix(0.6).stroke_width(1),
        };
        let points = curve.points.iter().map(|&(x, y)| (f64::from(x), y));
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(format!("{}, {}", curve.name, curve.threads()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The numbers 1, 2 and 5 of each power of ten in between.
fn marks(least: f64, most: f64) -> Vec<f64> {
    (-6..6)
        .flat_map(|power| [1, 2, 5].map(|digit| format!("{digit}e{power}")))
        .map(|number| number.parse().expect("a number"))
        .filter(|number| (least..most).contains(number))
        .collect()
}
