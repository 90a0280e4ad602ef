//! The rules of retail refunds, under any pattern of suppression.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::HashMap;

use ordermill_events::retail::RetailTransaction;
use ordermill_events::{Event, Generator, Identity, ModelSettings, Outcome, Payload};
use proptest::prelude::*;
use support::{NOW, pattern, send_all, tick};

/// The sales and refunds of one run as the rules see them.
#[derive(Default)]
struct Ledger {
    sent_sales: Vec<RetailTransaction>,
    /// Of sent refunds, by the sale's id.
    refunds: HashMap<u64, u64>,
}

impl Ledger {
    /// Enters an event and checks every rule that it must keep.
    fn enter(&mut self, event: &Event, outcome: Outcome) {
        match &event.payload {
            Payload::RetailTransaction(sale) => {
                if outcome == Outcome::Sent {
                    self.sent_sales.push(sale.clone());
                }
            }
            Payload::RetailRefund(refund) => {
                let mut recent = self.sent_sales.iter().rev().take(100);
                let sale = recent
                    .find(|sale| sale.transaction_id == refund.original_transaction_id)
                    .unwrap_or_else(|| panic!("{refund:?} is of none of the last 100 sent sales"));
                assert_eq!(refund.product_id, sale.product_id);
                assert_eq!(refund.store_id, sale.store_id);
                assert_eq!(refund.customer_id, sale.customer_id);
                assert!(refund.refund_amount <= sale.amount);
                assert!(refund.refund_amount.0 * 2 >= sale.amount.0);
                assert!(
                    !self.refunds.contains_key(&sale.transaction_id),
                    "{sale:?} is refunded twice"
                );
                if outcome == Outcome::Sent {
                    self.refunds.insert(sale.transaction_id, refund.refund_id);
                }
            }
            other => panic!("{other:?} is no retail event"),
        }
    }
}

fn generator(seed: u64, refund_probability: f64) -> Generator {
    let model = ModelSettings::RetailSale { refund_probability };
    Generator::new(model, Identity::seeded(seed, 0), 0.0)
}

proptest! {
    #[test]
    fn refunds_keep_every_rule(
        seed in any::<u64>(),
        refund_probability in 0.0..=1.0,
        suppressed in proptest::collection::vec(any::<bool>(), 1..200),
    ) {
        let mut generator = generator(seed, refund_probability);
        let outcome = pattern(suppressed);
        let mut ledger = Ledger::default();
        for _ in 0..500 {
            for (event, outcome) in tick(&mut generator, &outcome) {
                ledger.enter(&event, outcome);
            }
        }
    }
}

/// The sale that the second refund names, counted from 0, given what became of the first, which named sale 0.
fn second_refunded_sale(seed: u64, first_refund: Outcome) -> u64 {
    let mut generator = generator(seed, 1.0);
    let first = generator.next(NOW);
    let refund = generator.settle(&first, Outcome::Sent).remove(0);
    assert!(generator.settle(&refund.event, first_refund).is_empty());
    let second = generator.next(NOW);
    let refund = generator.settle(&second, Outcome::Sent).remove(0);
    let Payload::RetailRefund(refund) = refund.event.payload else {
        panic!("a sale is followed by a refund")
    };
    let sales = [first.id, second.id];
    let position = sales
        .iter()
        .position(|id| *id == refund.original_transaction_id.to_string());
    u64::try_from(position.unwrap()).unwrap()
}

#[test]
fn only_a_suppressed_refund_leaves_its_sale_to_be_refunded() {
    let named = |first_refund| -> Vec<u64> {
        (0..50)
            .map(|seed| second_refunded_sale(seed, first_refund))
            .collect()
    };
    assert_eq!(named(Outcome::Sent), vec![1; 50]);
    let after_suppression = named(Outcome::Suppressed);
    assert!(after_suppression.contains(&0) && after_suppression.contains(&1));
}

#[test]
fn nothing_follows_a_suppressed_sale() {
    let mut generator = generator(5, 1.0);
    let sale = generator.next(NOW);
    assert!(generator.settle(&sale, Outcome::Suppressed).is_empty());
}

#[test]
fn the_share_of_refunds_is_within_its_binomial_bound() {
    let mut generator = generator(17, 0.1);
    let sales = 100_000_u32;
    let refunds = (0..sales)
        .map(|_| tick(&mut generator, &send_all).len() - 1)
        .sum::<usize>();
    let refunds = f64::from(u32::try_from(refunds).unwrap());
    // 6.2 standard deviations: chance 1 in 10^9.
    let bound = 6.2 * (f64::from(sales) * 0.1 * 0.9).sqrt();
    assert!(
        (refunds - 10_000.0).abs() <= bound,
        "{refunds} refunds of {sales} sales"
    );
}
