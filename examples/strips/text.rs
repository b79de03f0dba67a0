//! A strip on the terminal: the pixels, what the network says below each column, and the reading.

use ndarray::Array3;

use crate::data;
use crate::most_likely::most_likely;
use crate::reading;
use crate::strips::Strips;

/// Pixels of two rows in one character, darker than half or not.
const HALVES: [[char; 2]; 2] = [[' ', '▄'], ['▀', '█']];

pub(crate) fn print(strips: &Strips, logits: &Array3<f32>, read: &[Vec<usize>], strip: usize) {
    let image = strips.image(strip);
    println!();
    for row in (0..image.nrows()).step_by(2) {
        let ink = |row, column| usize::from(image[[row, column]] > 0.45);
        let line: String = (0..image.ncols())
            .map(|column| HALVES[ink(row, column)][ink(row + 1, column)])
            .collect();
        println!("  {line}");
    }
    let said: String = most_likely(&reading::columns(logits, strips, strip))
        .map(|class| match class {
            data::CLASSES => "·".into(),
            digit => digit.to_string(),
        })
        .collect();
    println!("  {said}");
    let (read, label) = (&read[strip], strips.label(strip));
    match *read == label {
        true => println!("  reads {}", spaced(read)),
        false => println!("  reads {}, but is {}", spaced(read), spaced(&label)),
    }
}

/// The digits with a space between them.
fn spaced(digits: &[usize]) -> String {
    let digits: Vec<String> = digits.iter().map(usize::to_string).collect();
    digits.join(" ")
}
