//! The accuracy contract, as assertions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use lossgrad::reference::Reduced;
use ndarray::{ArrayD, ArrayRefD, Dimension};

use super::call::Outcome;
use super::real::Real;

/// The largest share of its allowance that any result has used, by what was checked.
static WORST: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// Prints how much of its allowance each loss has used so far.
pub fn report() {
    for (what, used) in WORST.lock().unwrap().iter() {
        println!(
            "{what}: at most {:.1} % of the allowance used",
            used * 100.0
        );
    }
}

/// Fails unless the losses are as near to the reference as the contract promises.
#[track_caller]
pub fn assert_losses<T: Real>(actual: &ArrayRefD<T>, expected: &Reduced, what: &str) {
    assert_near(
        actual,
        &expected.loss,
        &(&expected.magnitude * T::CONTRACT.loss + &expected.loss_slack * T::CONTRACT.epsilon),
        &format!("{what}, {} loss", T::NAME),
    );
}

/// Fails unless losses and gradients are as near to the reference as the contract promises.
#[track_caller]
pub fn assert_outcome<T: Real>(actual: &Outcome<T>, expected: &[Reduced], what: &str) {
    assert_losses(&actual.loss, &expected[0], what);
    assert_eq!(actual.grads.len(), expected.len(), "{what}: gradients");
    for (grad, expected) in actual.grads.iter().zip(expected) {
        assert_gradient(grad, expected, what);
    }
}

/// Fails unless the gradient is as near to the reference as the contract promises.
#[track_caller]
pub fn assert_gradient<T: Real>(actual: &ArrayRefD<T>, expected: &Reduced, what: &str) {
    assert_near(
        actual,
        &expected.grad,
        &gradient_allowance::<T>(expected),
        &format!("{what}, {} gradient", T::NAME),
    );
}

/// How far a gradient may be from the reference's, which is rounded too: by a unit of `f64`.
pub fn gradient_allowance<T: Real>(expected: &Reduced) -> ArrayD<f64> {
    &expected.scale * (T::CONTRACT.grad + f64::EPSILON) + &expected.grad_slack * T::CONTRACT.epsilon
}

/// Fails unless `actual` is within `allowance` of `expected`, element by element. NaN matches NaN,
/// and infinity is where the reference lies beyond the type's range.
#[track_caller]
pub fn assert_near<T: Real>(
    actual: &ArrayRefD<T>,
    expected: &ArrayRefD<f64>,
    allowance: &ArrayRefD<f64>,
    what: &str,
) {
    assert_eq!(actual.shape(), expected.shape(), "{what}: shapes");
    let mut worst = 0.0_f64;
    let both = expected.iter().zip(allowance.iter());
    for ((index, &a), (&e, &allowance)) in actual.indexed_iter().zip(both) {
        let a = a.wide();
        let beyond = e.abs() > T::LARGEST && a == e.signum() * f64::INFINITY;
        if a == e || beyond || (a.is_nan() && e.is_nan()) {
            continue;
        }
        // Below the normal numbers there is no relative accuracy to promise.
        let allowance = allowance + 16.0 * T::SMALLEST;
        let error = (a - e).abs();
        assert!(
            error <= allowance,
            "{what}: at {:?} {a:e}, expected {e:e}: off by {error:e}, allowed {allowance:e}",
            index.slice(),
        );
        worst = worst.max(error / allowance);
    }
    let key = what.split(" at ").next().unwrap_or(what).to_owned();
    let mut all = WORST.lock().unwrap();
    let entry = all.entry(key).or_insert(0.0);
    *entry = entry.max(worst);
}
