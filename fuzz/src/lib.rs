//! What the fuzz targets share with the tests: the same files.

#[path = "../../tests/common/mod.rs"]
pub mod common;
#[path = "../../tests/math/mod.rs"]
pub mod math;
#[path = "../../tests/scenarios/mod.rs"]
pub mod scenarios;
