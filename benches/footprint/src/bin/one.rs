//! A program with one loss of one type, in one call.

use lossgrad::SoftmaxCeLoss;
use lossgrad::ndarray::{Array1, Array2};

fn main() -> Result<(), lossgrad::Error> {
    let pred = Array2::<f32>::ones((4, 10));
    let class = Array1::<u32>::zeros(4);
    let (mut loss, mut grad) = (Array1::zeros(4), pred.clone());
    SoftmaxCeLoss::new()
        .on(&pred, &class)
        .loss_and_grad_into(&mut loss, &mut grad)?;
    println!("{loss} {grad}");
    Ok(())
}
