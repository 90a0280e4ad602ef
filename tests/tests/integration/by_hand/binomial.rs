//! How likely a count is, where each of many draws hits with the same probability.

/// The chance that a binomial count is as far out as `count`, or farther, on either side: twice the smaller tail.
pub fn two_sided(draws: u32, probability: f64, count: u32) -> f64 {
    let below: f64 = (0..=count).map(|k| mass(draws, probability, k)).sum();
    let above: f64 = (count..=draws).map(|k| mass(draws, probability, k)).sum();
    (2.0 * below.min(above)).min(1.0)
}

/// The probability of exactly `count` hits, by logarithms: the coefficient alone would overflow.
fn mass(draws: u32, probability: f64, count: u32) -> f64 {
    let coefficient: f64 = (1..=count)
        .map(|k| (f64::from(draws - count + k) / f64::from(k)).ln())
        .sum();
    let (hits, misses) = (f64::from(count), f64::from(draws - count));
    (coefficient + hits * probability.ln() + misses * (-probability).ln_1p()).exp()
}

#[test]
fn tails_are_those_of_ten_fair_coins() {
    assert!((mass(10, 0.5, 5) - 252.0 / 1024.0).abs() < 1e-12);
    assert!((two_sided(10, 0.5, 0) - 2.0 / 1024.0).abs() < 1e-12);
    assert!((two_sided(10, 0.5, 8) - 2.0 * 56.0 / 1024.0).abs() < 1e-12);
    assert!((two_sided(10, 0.5, 5) - 1.0).abs() < 1e-12);
    // Ten standard deviations.
    assert!(two_sided(2000, 0.05, 198) < 1e-9);
}
