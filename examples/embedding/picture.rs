//! The held-out images in the plane, as an SVG: no fonts and no image libraries of the system
//! needed.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array1, Array2};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data::CLASSES;

const SIZE: (u32, u32) = (960, 820);
/// The width that is left to the legend.
const LEGEND: u32 = 120;

/// One colour a digit.
const COLOURS: [RGBColor; CLASSES] = [
    RGBColor(31, 119, 180),
    RGBColor(235, 110, 0),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(220, 90, 180),
    RGBColor(100, 100, 100),
    RGBColor(145, 146, 10),
    RGBColor(0, 158, 175),
];

/// Draws each image as its digit, ringed where its nearest neighbour shows
/// another digit.
pub(crate) fn draw(
    places: &Array2<f32>,
    labels: &Array1<u8>,
    read: &[u8],
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let area = root
        .margin(12, 12, 12, 12)
        .titled("held-out digits, embedded in the plane", ("sans-serif", 22))?;
    let (x, y) = ranges(places, area.dim_in_pixel());
    let mut chart = ChartBuilder::on(&area).build_cartesian_2d(x, y)?;
    let centred = Pos::new(HPos::Center, VPos::Center);
    let points = || {
        let places = places.rows().into_iter().map(|place| (place[0], place[1]));
        places.zip(labels)
    };
    for (digit, colour) in COLOURS.iter().enumerate() {
        let own = points().filter(|&(_, &label)| usize::from(label) == digit);
        let style = ("sans-serif", 15, colour)
            .into_text_style(&area)
            .pos(centred);
        chart
            .draw_series(own.map(|(place, _)| Text::new(digit.to_string(), place, style.clone())))?
            .label(digit.to_string())
            .legend(|(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
    }
    let misread = points()
        .zip(read)
        .filter(|((_, label), read)| label != read);
    chart
        .draw_series(misread.map(|((place, _), _)| Circle::new(place, 7, BLACK.stroke_width(1))))?
        .label("misread")
        .legend(|(x, y)| Circle::new((x + 8, y), 6, BLACK.stroke_width(1)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// What the axes show: both by the same scale, so that distances can be compared, and everything to
/// the left, so that there is room for the legend.
fn ranges(places: &Array2<f32>, (width, height): (u32, u32)) -> (Range<f32>, Range<f32>) {
    let range = |axis: usize| {
        let values = || places.column(axis).into_iter().copied();
        let (low, high) = (
            values().fold(f32::MAX, f32::min),
            values().fold(f32::MIN, f32::max),
        );
        let room = 0.05 * (high - low).max(1e-3);
        low - room..high + room
    };
    let (x, y) = (range(0), range(1));
    let (width, height) = ((width - LEGEND) as f32, height as f32);
    let scale = ((x.end - x.start) / width).max((y.end - y.start) / height);
    let middle = 0.5 * (y.start + y.end);
    (
        x.start..x.start + scale * (width + LEGEND as f32),
        middle - 0.5 * scale * height..middle + 0.5 * scale * height,
    )
}
