//! What is asked of a loss.

#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Loss,
    LossAndGrad,
    /// Loss and gradient, every array moved by an element.
    Offset,
    InPlace,
}

impl Form {
    /// In place at last, which changes the predictions.
    pub const ALL: [Self; 4] = [Self::Loss, Self::LossAndGrad, Self::Offset, Self::InPlace];

    pub fn group(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::LossAndGrad => "loss_and_grad",
            Self::Offset => "offset",
            Self::InPlace => "in_place",
        }
    }

    pub fn offset(self) -> usize {
        usize::from(self == Self::Offset)
    }

    /// How many gradients are written where so many inputs have one.
    pub fn writes(self, inputs: usize) -> usize {
        if self == Self::Loss { 0 } else { inputs }
    }
}

/// Times a loss of predictions and labels in one form.
macro_rules! time {
    ($loss:expr, $form:expr, $bencher:expr, $exec:expr, $views:expr) => {{
        let (exec, mut views) = ($exec, $views);
        match $form {
            Form::Loss => $bencher.iter(|| {
                let call = $loss.on(&views.pred, &views.label).exec(exec);
                call.loss_into(&mut views.loss).expect("a valid call");
            }),
            Form::LossAndGrad | Form::Offset => $bencher.iter(|| {
                let call = $loss.on(&views.pred, &views.label).exec(exec);
                call.loss_and_grad_into(&mut views.loss, &mut views.grad)
                    .expect("a valid call");
            }),
            Form::InPlace => $bencher.iter(|| {
                let call = $loss.in_place(&mut views.pred, &views.label).exec(exec);
                call.loss_into(&mut views.loss).expect("a valid call");
            }),
        }
    }};
}

pub(super) use time;
