//! Results of 160 bits.
#![allow(dead_code)] // Each suite is a program of its own and uses its own part of this.

use dashu_float::{FBig, round::mode::HalfEven};

type Big = FBig<HalfEven, 2>;

const BITS: usize = 160;

fn big(x: f64) -> Big {
    let big = Big::try_from(x).expect("a finite number");
    big.with_precision(BITS).value()
}

/// `e^x` of a finite number; of 0 too, where the library gives a 1 without a precision.
fn big_exp(x: f64) -> Big {
    big(x).exp().with_precision(BITS).value()
}

/// The exact result to 160 bits, or the f64 that stands for it where it is no finite number.
pub enum Exact {
    Big(Big),
    F64(f64),
}

/// Far outside the range of f64 the big numbers would only cost time.
fn exp(x: f64) -> Exact {
    if x > 800.0 {
        Exact::F64(f64::INFINITY)
    } else if x < -800.0 {
        Exact::F64(0.0)
    } else {
        Exact::Big(big_exp(x))
    }
}

fn softplus(x: f64) -> Exact {
    if x == f64::INFINITY || x < -800.0 {
        return exp(x);
    }
    let t = big_exp(-x.abs().min(2000.0));
    Exact::Big(big(x.max(0.0)) + t.ln_1p())
}

fn sigmoid(x: f64) -> Exact {
    if x < -800.0 {
        return Exact::F64(0.0);
    }
    let t = big_exp(-x.abs().min(2000.0));
    let near = if x < 0.0 { t.clone() } else { big(1.0) };
    Exact::Big(near / (big(1.0) + t))
}

/// The Bernoulli numbers of even index from 2 on.
const BERNOULLI: [(i128, i128); 20] = [
    (1, 6),
    (-1, 30),
    (1, 42),
    (-1, 30),
    (5, 66),
    (-691, 2730),
    (7, 6),
    (-3617, 510),
    (43867, 798),
    (-174611, 330),
    (854513, 138),
    (-236364091, 2730),
    (8553103, 6),
    (-23749461029, 870),
    (8615841276005, 14322),
    (-7709321041217, 510),
    (2577687858367, 6),
    (-26315271553053477373, 1919190),
    (2929993913841559, 6),
    (-261082718496449122051, 13530),
];

fn big_integer(x: i128) -> Big {
    Big::from(x).with_precision(BITS).value()
}

fn big_decimal(digits: &str) -> Big {
    let decimal: FBig<HalfEven, 10> = digits.parse().expect("a number");
    decimal.with_base_and_precision::<2>(BITS).value()
}

/// `ln(z!)` by Stirling's series, whose 21st term is below 2^-190 here.
fn stirling_series(z: Big) -> Big {
    let half_ln_2_pi =
        big_decimal("0.918938533204672741780329736405617639861397473637783412817154048");
    let ln = z.ln();
    let mut sum = &z * &ln - &z + ln / big(2.0) + half_ln_2_pi;
    let mut power = z.clone();
    for (n, (over, under)) in (1..).zip(BERNOULLI) {
        let under = under * (2 * n) * (2 * n - 1);
        sum += big_integer(over) / (big_integer(under) * &power);
        power = &power * &z * &z;
    }
    sum
}

pub fn ln_factorial(y: f64) -> Exact {
    if y < 0.0 {
        return Exact::F64(f64::NAN);
    }
    if y == 0.0 || y == 1.0 || y == f64::INFINITY {
        // At 0 the function falls, so its zero has the sign of what is beside it.
        return Exact::F64(if y == 0.0 {
            -y
        } else if y == 1.0 {
            0.0
        } else {
            y
        });
    }
    if y < 2f64.powi(-60) {
        let gamma =
            big_decimal("0.577215664901532860606512090082402431042159335939923598805767235");
        let curvature =
            big_decimal("0.822467033424113218236207583323012594609474950603399218867779115");
        return Exact::Big(big(y) * (curvature * big(y) - gamma));
    }
    let mut product = big(1.0);
    let mut z = big(y);
    while z < big(70.0) {
        z += big(1.0);
        product *= &z;
    }
    let shift = if product == big(1.0) {
        big(0.0)
    } else {
        product.ln()
    };
    Exact::Big(stirling_series(z) - shift)
}

pub fn exact(name: &str, x: f64) -> Exact {
    if x.is_nan() {
        return Exact::F64(x);
    }
    match name {
        "exp" | "exp_nonpos" => exp(x),
        "expm1" if x == 0.0 => Exact::F64(x),
        "expm1" if x > 800.0 => Exact::F64(f64::INFINITY),
        "expm1" => Exact::Big(big(x.max(-2000.0)).exp_m1()),
        "log" | "log1p" if x == f64::INFINITY => Exact::F64(x),
        "log" if x < 0.0 => Exact::F64(f64::NAN),
        "log" if x == 0.0 => Exact::F64(f64::NEG_INFINITY),
        "log" if x == 1.0 => Exact::F64(0.0),
        "log" => Exact::Big(big(x).ln()),
        "log1p" if x == 0.0 => Exact::F64(x),
        "log1p" if x < -1.0 => Exact::F64(f64::NAN),
        "log1p" if x == -1.0 => Exact::F64(f64::NEG_INFINITY),
        "log1p" => Exact::Big(big(x).ln_1p()),
        "sigmoid" => sigmoid(x),
        "softplus" => softplus(x),
        "log_sigmoid" => match softplus(-x) {
            Exact::Big(big) => Exact::Big(-big),
            Exact::F64(x) => Exact::F64(-x),
        },
        "ln_factorial" => ln_factorial(x),
        _ => panic!("no exact {name}"),
    }
}

/// The error of `got` in ULP of the exact result; a zero of the wrong sign is infinitely wrong.
pub fn error(got: f64, exact: &Exact) -> f64 {
    let exact = match exact {
        Exact::Big(exact) => exact,
        Exact::F64(exact) => {
            let equal = got.to_bits() == exact.to_bits() || got.is_nan() && exact.is_nan();
            return if equal { 0.0 } else { f64::INFINITY };
        }
    };
    let nearest = exact.to_f64().value();
    if got.is_nan() || got.is_sign_negative() != (*exact < Big::ZERO) {
        return f64::INFINITY;
    }
    if got.is_infinite() {
        return if nearest == got { 0.0 } else { f64::INFINITY };
    }
    let exponent = exact.repr().exponent() + exact.repr().digits() as isize - 1;
    let spacing = exponent.clamp(-1022, 1023) - 52;
    let off = (big(got) - exact) >> spacing;
    off.to_f64().value().abs()
}
