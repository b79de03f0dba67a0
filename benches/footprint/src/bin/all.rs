//! A program with every loss, of both types.

use lossgrad::ndarray::{Array1, Array2, Array3, LinalgScalar};
use lossgrad::{
    CosineEmbeddingLoss, CtcLoss, Element, Error, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss,
    LogisticLoss, PoissonNllLoss, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss,
    TripletLoss,
};
use std::fmt::Display;

fn main() -> Result<(), Error> {
    every_loss::<f32>()?;
    every_loss::<f64>()
}

/// Calls every loss once and prints what it gives.
fn every_loss<T: Element + LinalgScalar + Display>() -> Result<(), Error> {
    let x = &Array2::<T>::ones((4, 10));
    let class = Array1::<u32>::zeros(4);

    macro_rules! print_loss_and_grad {
        ($($loss:expr, $label:expr;)*) => {
            $(
                let (loss, grad) = $loss.loss_and_grad(x, $label)?;
                println!("{loss} {grad}");
            )*
        };
    }
    print_loss_and_grad! {
        L1Loss::new(), x;
        L2Loss::new(), x;
        HuberLoss::default(), x;
        HingeLoss::new(), x;
        SquaredHingeLoss::new(), x;
        LogisticLoss::new(), x;
        SigmoidBceLoss::new(), x;
        PoissonNllLoss::new(), x;
        KlDivLoss::new(), x;
        SoftmaxCeLoss::new(), &class;
    }

    let frames = Array3::<T>::ones((4, 10, 5));
    let spelled = Array2::<i32>::zeros((4, 3));
    let (loss, grad) = CtcLoss::new().loss_and_grad(&frames, &spelled)?;
    println!("{loss} {grad}");

    let (loss, [a, b, c]) = TripletLoss::new().loss_and_grads(x, x, x)?;
    println!("{loss} {a} {b} {c}");
    let sign = Array1::<i32>::ones(4);
    let (loss, [a, b]) = CosineEmbeddingLoss::new().loss_and_grads(x, x, &sign)?;
    println!("{loss} {a} {b}");
    let (loss, [a, b]) = SdmlLoss::new().loss_and_grads(x, x)?;
    println!("{loss} {a} {b}");
    Ok(())
}
