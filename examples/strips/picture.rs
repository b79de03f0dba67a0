//! A few strips with what is read on them and where: an SVG, no image libraries needed.

use std::error::Error;
use std::path::Path;

use lossgrad::CtcLoss;
use ndarray::{Array3, ArrayView2, s};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data;
use crate::most_likely::most_likely;
use crate::reading;
use crate::strips::Strips;

const WIDTH: u32 = 1000;
const MARGIN: i32 = 30;
const TITLE: u32 = 64;
/// Heights of the parts of a panel, from the top: digits read, strip, space, alignment, digits
/// written.
const READ: i32 = 34;
const SPACE: i32 = 6;
const ALIGNMENT: i32 = 60;
const WRITTEN: i32 = 40;

const PAPER: RGBColor = RGBColor(250, 249, 246);
const GREY: RGBColor = RGBColor(110, 110, 110);
const BLANK: RGBColor = RGBColor(150, 150, 150);
/// One a digit.
const COLOURS: [RGBColor; data::CLASSES] = [
    RGBColor(31, 119, 180),
    RGBColor(225, 110, 0),
    RGBColor(44, 150, 44),
    RGBColor(205, 40, 45),
    RGBColor(140, 95, 190),
    RGBColor(140, 86, 75),
    RGBColor(215, 90, 175),
    RGBColor(90, 90, 90),
    RGBColor(160, 155, 20),
    RGBColor(15, 165, 185),
];

type Drawn<Backend> = Result<(), DrawingAreaErrorKind<<Backend as DrawingBackend>::ErrorType>>;

/// Draws these strips below each other.
pub(crate) fn draw(
    strips: &Strips,
    logits: &Array3<f32>,
    shown: &[usize],
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Of log-probabilities the gradient is minus the posterior: how likely a class is at a column,
    // given all that is written on the strip. It is the same whether they are normalised or not, so
    // the logits serve as they are.
    let posterior = -CtcLoss::new()
        .log_probs(true)
        .on(logits, &strips.labels)
        .pred_lengths(&strips.lengths)
        .grad()?;

    let widest = shown.iter().map(|&strip| strips.lengths[strip]).max();
    let pixel = (WIDTH as i32 - 2 * MARGIN) / widest.unwrap_or(1) as i32;
    let rows = strips.images.dim().1 as i32;
    let panel = (READ + rows * pixel + SPACE + ALIGNMENT + WRITTEN) as u32;
    let size = (WIDTH, TITLE + panel * shown.len() as u32);

    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (title, panels) = root.split_vertically(TITLE);
    let line = |text, size: i32, y| {
        let style = ("sans-serif", size).into_font().color(&GREY);
        Text::new(text, (MARGIN, y), style)
    };
    title.draw(&line(
        "Strips of held-out images, and the digits read on them",
        19,
        12,
    ))?;
    let explained = "Below each strip the digits written on it and their CTC alignment: how likely \
                     each is at each column, given all of them; grey: none";
    title.draw(&line(explained, 13, 38))?;
    for (area, &strip) in panels.split_evenly((shown.len(), 1)).iter().zip(shown) {
        let columns = ..strips.lengths[strip];
        Panel {
            image: strips.image(strip),
            posterior: posterior.slice(s![strip, columns, ..]),
            logits: reading::columns(logits, strips, strip),
            pixel,
        }
        .draw(area)?;
    }
    root.present()?;
    Ok(())
}

/// One strip.
struct Panel<'a> {
    image: ArrayView2<'a, f32>,
    /// Columns × classes.
    posterior: ArrayView2<'a, f32>,
    /// What the network says, columns × classes.
    logits: ArrayView2<'a, f32>,
    /// Width and height of a pixel of the strip in the picture.
    pixel: i32,
}

impl Panel<'_> {
    fn draw<Backend: DrawingBackend>(&self, area: &DrawingArea<Backend, Shift>) -> Drawn<Backend> {
        self.strip(area)?;
        self.alignment(area)?;
        self.digits(area)
    }

    /// Where the strip ends, downwards.
    fn strip_end(&self) -> i32 {
        READ + self.pixel * self.image.nrows() as i32
    }

    /// The pixels, ink on paper.
    fn strip<Backend: DrawingBackend>(&self, area: &DrawingArea<Backend, Shift>) -> Drawn<Backend> {
        let right = MARGIN + self.pixel * self.image.ncols() as i32;
        let frame = [(MARGIN, READ), (right, self.strip_end())];
        area.draw(&Rectangle::new(frame, PAPER.filled()))?;
        for ((row, column), &ink) in self.image.indexed_iter() {
            if ink > 0.0 {
                let (x, y) = (
                    MARGIN + self.pixel * column as i32,
                    READ + self.pixel * row as i32,
                );
                let square = [(x, y), (x + self.pixel, y + self.pixel)];
                area.draw(&Rectangle::new(square, BLACK.mix(f64::from(ink)).filled()))?;
            }
        }
        area.draw(&Rectangle::new(frame, BLANK.mix(0.6)))
    }

    /// The posterior of each column's classes, stacked: digits in colour, the blank above in grey.
    fn alignment<Backend: DrawingBackend>(
        &self,
        area: &DrawingArea<Backend, Shift>,
    ) -> Drawn<Backend> {
        let base = self.strip_end() + SPACE + ALIGNMENT;
        for (column, posterior) in self.posterior.rows().into_iter().enumerate() {
            let left = MARGIN + self.pixel * column as i32;
            let mut below = 0.0;
            for (class, &share) in posterior.iter().enumerate() {
                let height = |p: f32| base - (p * ALIGNMENT as f32).round() as i32;
                let bar = [
                    (left, height(below + share)),
                    (left + self.pixel, height(below)),
                ];
                below += share;
                let colour = COLOURS.get(class).map_or(BLANK.mix(0.2), |c| c.mix(1.0));
                if bar[0].1 < bar[1].1 {
                    area.draw(&Rectangle::new(bar, colour.filled()))?;
                }
            }
        }
        Ok(())
    }

    /// The digits read above the strip, and those written below the alignment.
    fn digits<Backend: DrawingBackend>(
        &self,
        area: &DrawingArea<Backend, Shift>,
    ) -> Drawn<Backend> {
        let below = self.strip_end() + SPACE + ALIGNMENT;
        self.runs(area, self.logits, 26, VPos::Bottom, READ - 4)?;
        self.runs(area, self.posterior, 17, VPos::Top, below + 4)
    }

    /// The likeliest digits of columns × classes, each in the middle of the columns that say so.
    fn runs<Backend: DrawingBackend>(
        &self,
        area: &DrawingArea<Backend, Shift>,
        scores: ArrayView2<'_, f32>,
        size: i32,
        side: VPos,
        y: i32,
    ) -> Drawn<Backend> {
        let best: Vec<usize> = most_likely(&scores).collect();
        let mut column = 0;
        for run in best.chunk_by(|a, b| a == b) {
            let middle = column as f64 + run.len() as f64 / 2.0;
            column += run.len();
            if let Some(colour) = COLOURS.get(run[0]) {
                let font = ("sans-serif", size).into_font().style(FontStyle::Bold);
                let style = font.color(colour).pos(Pos::new(HPos::Center, side));
                let x = MARGIN + (middle * f64::from(self.pixel)).round() as i32;
                area.draw(&Text::new(run[0].to_string(), (x, y), style))?;
            }
        }
        Ok(())
    }
}
