use crate::simd::{Bits, Float, Isa};

/// What the elementary functions need to know about a type: one algorithm serves both, with the
/// coefficients and limits that stand here.
///
/// Every polynomial is this crate's own minimax fit of the relative error, its coefficients rounded
/// with regard to each other.
pub trait Functions: Float {
    /// The exponent field of 1.
    const BIAS: i32;
    /// How many bits of the fraction are stored.
    const FRACTION: i32;
    /// The mask of these bits.
    const FRACTION_BITS: u64;
    /// The number from which on neighbours are 1 apart: its low bits count.
    const COUNTING: f64;
    /// The smallest normal number.
    const SMALLEST_NORMAL: f64;
    /// The largest finite number.
    const LARGEST_FINITE: f64;

    /// The natural logarithm of 2 and what rounding it loses.
    const LN_2: (f64, f64);
    /// The same, the first with so few bits that its product with an exponent is exact.
    const LN_2_SHORT: (f64, f64);

    /// Here and below `e^x` rounds to 0.
    const EXP_TO_ZERO: f64;
    /// Here and above `e^x` rounds to infinity.
    const EXP_TO_INFINITY: f64;
    /// Here and below `e^x - 1` rounds to -1.
    const EXPM1_TO_MINUS_ONE: f64;
    /// Nearer to 0 than this, `e^x - 1` and `ln(1 + x)` are `x` to a quarter of an ULP.
    const LINEAR_BELOW: f64;

    /// `(e^r - 1 - r) / r^2` for `|r| <= ln(2) / 2`, for the error of `e^r`.
    const EXP: &'static [Self];
    /// `(e^r - 1 - r) / r^2` for `|r| <= ln(2) / 2`, for the error of `e^r - 1`.
    const EXPM1: &'static [Self];
    /// `(ln(1 + f) - f) / f^2` for `|f| <= 1/3`.
    const LOG: &'static [Self];
    /// `(ln(1 + t) - t) / t^2` for `0 <= t <= 1`.
    const LOG1P_UNIT: &'static [Self];
    /// The numerator of `(ln(y!) / (y (y - 1)) - (1 - gamma)) / (y - 1)` for `0 <= y <= 5/2`.
    const FACTORIAL_OVER: &'static [Self];
    /// Its denominator.
    const FACTORIAL_UNDER: &'static [Self];
    /// `y` times what Stirling's formula lacks for `ln(y!)`, by `1 / y^2`, for `y >= 5/2`.
    const STIRLING: &'static [Self];

    /// Moves the low bits to the place of sign and exponent.
    fn shift_to_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S>;
    /// Moves sign and exponent to the low bits.
    fn shift_from_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S>;
}

impl Functions for f32 {
    const BIAS: i32 = 127;
    const FRACTION: i32 = 23;
    const FRACTION_BITS: u64 = 0x007f_ffff;
    const COUNTING: f64 = 8_388_608.0;
    const SMALLEST_NORMAL: f64 = f32::MIN_POSITIVE as f64;
    const LARGEST_FINITE: f64 = f32::MAX as f64;
    const LN_2: (f64, f64) = (0.693_147_182_464_599_6, -1.904_654_212_125_933_6e-9);
    const LN_2_SHORT: (f64, f64) = (0.693_145_751_953_125, 1.428_606_765_330_187e-6);
    const EXP_TO_ZERO: f64 = -104.0;
    const EXP_TO_INFINITY: f64 = 89.0;
    const EXPM1_TO_MINUS_ONE: f64 = -20.0;
    const LINEAR_BELOW: f64 = 1.0 / (1u64 << 26) as f64;
    const EXP: &'static [Self] = &[
        0.49999994,
        0.16666521,
        0.041668255,
        0.008368662,
        0.0013821452,
    ];
    const EXPM1: &'static [Self] = &[
        0.5,
        0.16666666,
        0.041666493,
        0.008333547,
        0.0013932326,
        0.00019760599,
    ];
    const LOG: &'static [Self] = &[
        -0.5,
        0.33333215,
        -0.24999806,
        0.20010427,
        -0.16680197,
        0.14005734,
        -0.12187446,
        0.13984594,
        -0.12880222,
    ];
    const LOG1P_UNIT: &'static [Self] = &[
        -0.4999993,
        0.33330464,
        -0.24958019,
        0.196921,
        -0.1534454,
        0.10659332,
        -0.05742204,
        0.020055998,
        -0.0032808483,
    ];
    const FACTORIAL_OVER: &'static [Self] =
        &[-0.15443133, -0.14804213, -0.027719963, -0.000090223315];
    const FACTORIAL_UNDER: &'static [Self] = &[1.0, 1.5467185, 0.67074555, 0.074925885];
    const STIRLING: &'static [Self] = &[0.08333294, -0.002764018, 0.0006444616];

    #[inline(always)]
    fn shift_to_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S> {
        bits.shl::<23>()
    }

    #[inline(always)]
    fn shift_from_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S> {
        bits.shr::<23>()
    }
}

impl Functions for f64 {
    const BIAS: i32 = 1023;
    const FRACTION: i32 = 52;
    const FRACTION_BITS: u64 = 0x000f_ffff_ffff_ffff;
    const COUNTING: f64 = 4_503_599_627_370_496.0;
    const SMALLEST_NORMAL: f64 = f64::MIN_POSITIVE;
    const LARGEST_FINITE: f64 = f64::MAX;
    const LN_2: (f64, f64) = (core::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
    const LN_2_SHORT: (f64, f64) = (0.693_147_180_559_890_3, 5.497_923_018_708_371e-14);
    const EXP_TO_ZERO: f64 = -746.0;
    const EXP_TO_INFINITY: f64 = 710.0;
    const EXPM1_TO_MINUS_ONE: f64 = -40.0;
    const LINEAR_BELOW: f64 = 1.0 / (1u64 << 55) as f64;
    const EXP: &'static [Self] = &[
        0.5000000000000011,
        0.16666666666666463,
        0.04166666666652613,
        0.008333333333469127,
        0.00138888889449524,
        0.00019841269574336933,
        2.4801491333328768e-05,
        2.7557505309269813e-06,
        2.7631032342291616e-07,
        2.5033237701434872e-08,
    ];
    const EXPM1: &'static [Self] = &[
        0.5,
        0.16666666666666677,
        0.04166666666666669,
        0.008333333333321776,
        0.0013888888888886816,
        0.0001984126988534286,
        2.4801587294765573e-05,
        2.7557245208731022e-06,
        2.755731588880623e-07,
        2.5108649875909985e-08,
        2.0897963960564665e-09,
    ];
    const LOG: &'static [Self] = &[
        -0.5,
        0.3333333333333317,
        -0.24999999999999448,
        0.200000000000732,
        -0.1666666666684392,
        0.14285714274514213,
        -0.12499999978346751,
        0.11111111952347093,
        -0.10000001381898037,
        0.09090873006734382,
        -0.08333280994140863,
        0.07693259377771149,
        -0.07144107700089235,
        0.06650739526122235,
        -0.06230694419125155,
        0.06051158496582139,
        -0.05746780915202488,
        0.04177861897300833,
        -0.03840070161951327,
        0.08495485714452629,
        -0.08332674549467145,
    ];
    const LOG1P_UNIT: &'static [Self] = &[
        -0.4999999999999946,
        0.33333333333235265,
        -0.24999999993686103,
        0.1999999979152254,
        -0.16666662500680698,
        0.14285658906726542,
        -0.1249947955526938,
        0.11107504803589395,
        -0.09981005572255834,
        0.09013107193844046,
        -0.08081048330310935,
        0.07035119235718416,
        -0.057493770044113296,
        0.042287949889640866,
        -0.026730444618313816,
        0.013827458137503915,
        -0.005536524391729097,
        0.001593096195536131,
        -0.0002911152950238243,
        2.5257562106490957e-05,
    ];
    const FACTORIAL_OVER: &'static [Self] = &[
        -0.1544313298030657,
        -0.4180136854895451,
        -0.42608495215764197,
        -0.2038926641730581,
        -0.046546495245131984,
        -0.004558384560613033,
        -0.00013825895291409533,
        -3.258025042630522e-08,
    ];
    const FACTORIAL_UNDER: &'static [Self] = &[
        1.0,
        3.2948866325112545,
        4.278357619512466,
        2.78498560823293,
        0.9572395882713989,
        0.16792703221195754,
        0.013269643120872369,
        0.0003387002104609781,
    ];
    const STIRLING: &'static [Self] = &[
        0.08333333333331,
        -0.002777777770127078,
        0.0007936498715626722,
        -0.0005951803005570462,
        0.0008395581078129557,
        -0.0018625446643455107,
        0.005440112806474663,
        -0.01676549426286053,
        0.043548431162310546,
        -0.07656161391808095,
        0.06481611004554669,
    ];

    #[inline(always)]
    fn shift_to_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S> {
        bits.shl::<52>()
    }

    #[inline(always)]
    fn shift_from_exponent<S: Isa>(bits: Bits<Self, S>) -> Bits<Self, S> {
        bits.shr::<52>()
    }
}
