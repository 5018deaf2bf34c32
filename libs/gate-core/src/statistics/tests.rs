//! Against scipy 1.17.1 (`research: gating`, and the same functions for large samples).

use super::*;

/// k, n, threshold; Wilson, Clopper-Pearson, one-sided upper, confidence sequence, ln E_pass,
/// ln E_fail.
type Row = (u64, u64, f64, [f64; 2], [f64; 2], f64, [f64; 2], f64, f64);

const REFERENCE: [Row; 7] = [
    (
        0,
        50,
        0.03,
        [0.0, 0.071347599],
        [0.0, 0.071121736],
        0.058155079,
        [0.0, 0.129381289],
        0.860040071,
        -3.931825633,
    ),
    (
        3,
        100,
        0.05,
        [0.010254524, 0.084519364],
        [0.006229972, 0.085176053],
        0.075710794,
        [0.001525519, 0.129720144],
        0.060930857,
        -3.977539654,
    ),
    (
        4,
        500,
        0.02,
        [0.003115315, 0.020387036],
        [0.002183908, 0.020355633],
        0.018212852,
        [0.000470449, 0.034498374],
        1.667552423,
        -5.780408642,
    ),
    (
        9,
        500,
        0.02,
        [0.009498193, 0.033851671],
        [0.008262954, 0.033893696],
        0.031199903,
        [0.003671932, 0.050364267],
        -0.839476651,
        -4.915246835,
    ),
    (
        29,
        2000,
        0.015,
        [0.010114677, 0.020746776],
        [0.009731812, 0.020758479],
        0.019718300,
        [0.006240659, 0.027894909],
        -1.429018640,
        -5.717422310,
    ),
    (
        15,
        50,
        0.2,
        [0.191035535, 0.437503505],
        [0.178617846, 0.446082326],
        0.423732967,
        [0.131444681, 0.517076854],
        -2.115721269,
        -0.236889931,
    ),
    (
        15_000,
        1_000_000,
        0.0151,
        [0.014763618, 0.015240108],
        [0.014762667, 0.015240148],
        0.015201477,
        [0.014434644, 0.015579702],
        -3.798622666,
        -9.317322663,
    ),
];

#[track_caller]
fn close(found: f64, expected: f64, within: f64, what: &str) {
    assert!((found - expected).abs() < within, "{what}: {found} instead of {expected}");
}

#[test]
fn intervals_and_e_values_agree_with_published_ones() {
    for (k, n, threshold, w, exact, upper, sequence, pass, fail) in REFERENCE {
        let what = format!("{k}/{n}");
        for (found, expected) in [
            (wilson(k, n, 0.05), w),
            (clopper_pearson(k, n, 0.05), exact),
            (confidence_sequence(k, n, 0.05), sequence),
        ] {
            close(found.low, expected[0], 1e-8, &what);
            close(found.high, expected[1], 1e-8, &what);
        }
        close(upper_bound(k, n, 0.05), upper, 1e-8, &what);
        let precision = if n > 100_000 { 2e-5 } else { 1e-8 };
        close(ln_e_pass(k, n, threshold), pass, precision, &what);
        close(ln_e_fail(k, n, threshold), fail, precision, &what);
    }
}

#[test]
fn a_hundred_million_trials_are_as_exact_as_anybody_needs() {
    let (k, n) = (1_500_000, 100_000_000);
    let exact = clopper_pearson(k, n, 0.05);
    close(exact.low, 0.0149761851952, 2e-8, "low");
    close(exact.high, 0.0150238428874, 2e-8, "high");
    close(upper_bound(k, n, 0.05), 0.0150200089695, 2e-8, "upper");
    close(ln_e_pass(k, n, 0.0151), 27.4878199806, 1e-4, "pass");
    close(ln_e_fail(k, n, 0.0151), -13.4176636732, 1e-4, "fail");
    let few = clopper_pearson(3, n, 0.05);
    close(few.low, 6.18672127169e-9, 1e-14, "low of three");
    close(few.high, 8.76727282291e-8, 1e-13, "high of three");
}

#[test]
fn without_failures_two_percent_is_certified_at_224_trials() {
    let needed = 20.0_f64.ln();
    assert!(ln_e_pass(0, 223, 0.02) < needed);
    assert!(ln_e_pass(0, 224, 0.02) >= needed);
    assert_eq!(certified_after(0, 100, 0.02, 0.05), Some(124));
    assert_eq!(certified_after(0, 224, 0.02, 0.05), Some(0));
}

#[test]
fn evidence_that_cannot_be_told_from_none_is_no_evidence() {
    assert!(ln_e_fail(0, 1_000_000, 0.02) < 0.0);
    assert!(ln_e_pass(900_000, 1_000_000, 0.02) < 0.0);
    assert!(ln_e_pass(0, 1_000_000, 0.02) > 20_000.0);
    assert!(!ln_e_pass(0, 0, 0.02).is_nan() && !ln_e_fail(0, 0, 0.02).is_nan());
}

#[test]
fn a_p99_has_no_upper_bound_below_299_samples() {
    let ranks = [(298, None), (299, Some(299)), (500, Some(499)), (1_000, Some(996))];
    for (samples, rank) in ranks {
        assert_eq!(p99_upper_rank(samples, 0.05), rank, "{samples}");
    }
    assert_eq!(
        p99_upper_rank(100_000_000, 0.05).map(|rank| rank.abs_diff(99_001_637) <= 1),
        Some(true)
    );
    assert_eq!(p99_upper_rank(0, 0.05), None);
}

#[test]
fn normal_volume_lies_between_the_limits_of_a_poisson_count() {
    let limits = [(0.5, (0, 3)), (3.0, (0, 8)), (12.0, (4, 22)), (40.0, (25, 57))];
    for (mean, expected) in limits {
        assert_eq!(poisson_limits(mean, 0.01), expected, "{mean}");
    }
    assert_eq!(poisson_limits(400.0, 0.01), (349, 452));
    assert_eq!(poisson_limits(0.0, 0.01), (0, 0));
}

#[test]
fn nothing_tried_tells_nothing() {
    for interval in
        [clopper_pearson(0, 0, 0.05), wilson(0, 0, 0.05), confidence_sequence(0, 0, 0.05)]
    {
        assert_eq!(interval, Interval { low: 0.0, high: 1.0 });
    }
}
