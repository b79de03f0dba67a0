//! A level that was promised and is missing is an error, so that no machine passes for one that
//! tests more than it does.

mod common;

use common::levels::{holds, levels};

#[test]
fn every_promised_level_is_there() {
    assert_eq!(levels()[0].to_string(), "scalar");
}

#[test]
fn a_missing_level_is_named() {
    let present = ["scalar".to_owned(), "v3".to_owned()];
    assert_eq!(holds("scalar", &present), Ok(()));
    assert_eq!(holds("v3, scalar", &present), Ok(()));
    assert_eq!(
        holds("scalar,v3,v4", &present).unwrap_err(),
        "this CPU lacks v4, it has scalar, v3"
    );
    for unknown in ["v5", "scalar,,v3", ""] {
        let error = holds(unknown, &present).unwrap_err();
        assert!(error.contains("is no level"), "{error}");
    }
}
