//! Bugs put in on purpose are nowhere but where they were asked for.

use std::fs;

use crate::installation::softlaunch;

#[test]
fn the_product_has_a_seeded_bug_only_where_it_was_built_with_them() {
    let product = fs::read(softlaunch()).expect("the product was built");
    let found = |text: &str| product.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    let seeded = cfg!(feature = "seeded-bugs");
    for trace in ["SOFTLAUNCH_SEEDED_BUG", "acknowledge-before-fsync", "mark-before-send"] {
        assert_eq!(found(trace), seeded, "{trace}");
    }
    assert!(found("SOFTLAUNCH_ENDPOINTS"), "what is in a product can be found in it");
}
