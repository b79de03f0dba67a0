//! The curves of the training, as an SVG: no fonts and no image libraries of the system needed.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::Epoch;

const SIZE: (u32, u32) = (1000, 420);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const HELD_OUT: RGBColor = RGBColor(214, 92, 20);

/// One line of a chart.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    values: Vec<f64>,
}

/// Draws loss on the left and accuracy on the right, over the epochs.
pub(crate) fn draw(history: &[Epoch], path: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let curve = |name, colour, value: fn(&Epoch) -> f64| Curve {
        name,
        colour,
        values: history.iter().map(value).collect(),
    };
    let losses = [
        curve("training, with noise", TRAIN, |epoch| {
            f64::from(epoch.train_loss)
        }),
        curve("held out", HELD_OUT, |epoch| f64::from(epoch.held_out_loss)),
    ];
    let accuracy = [curve("held out", HELD_OUT, |epoch| 100.0 * epoch.accuracy)];

    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    chart(&left, "mean loss", &losses)?;
    chart(&right, "accuracy, %", &accuracy)?;
    root.present()?;
    Ok(())
}

fn chart<Backend: DrawingBackend>(
    area: &DrawingArea<Backend, plotters::coord::Shift>,
    title: &str,
    curves: &[Curve],
) -> Result<(), DrawingAreaErrorKind<Backend::ErrorType>> {
    let epochs = curves
        .iter()
        .map(|curve| curve.values.len())
        .max()
        .unwrap_or(0);
    let values = || curves.iter().flat_map(|curve| &curve.values).copied();
    let (low, high) = (
        values().fold(f64::MAX, f64::min),
        values().fold(f64::MIN, f64::max),
    );
    let room = 0.05 * (high - low).max(1e-3);

    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(48)
        .build_cartesian_2d(1..epochs.max(2), low - room..high + room)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("epoch")
        .draw()?;
    for curve in curves {
        let points = (1..).zip(curve.values.iter().copied());
        chart
            .draw_series(LineSeries::new(points, curve.colour.stroke_width(2)))?
            .label(curve.name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], curve.colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
