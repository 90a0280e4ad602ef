//! Measures how long an event takes to be made, settled and rendered, per model, on one core.
//!
//! `cargo run --release -p ordermill-events --example throughput`

use std::hint::black_box;
use std::time::{Duration, Instant};

use ordermill_events::{Generator, Identity, ModelSettings, Outcome, Root};

const EVENTS: u64 = 1_000_000;
const NOW: u64 = 1_767_323_045_006;

fn main() {
    let models = [
        ("WoodOrder", ModelSettings::WoodOrder),
        ("WoodStock", ModelSettings::WoodStock),
        (
            "RetailSale",
            ModelSettings::RetailSale {
                refund_probability: 0.1,
            },
        ),
        ("FoodOrder", ModelSettings::FoodOrder),
        (
            "DrinkOrder",
            ModelSettings::DrinkOrder {
                customers: 200,
                preparation_mean: Duration::from_secs(2),
                cancel_probability: 0.08,
            },
        ),
    ];
    for (name, model) in models {
        let mut generator = Generator::new(model, Identity::random(Root::random()), 1.0);
        let mut rendered = 0_u64;
        let start = Instant::now();
        while rendered < EVENTS {
            let event = generator.next(NOW);
            black_box(event.render(NOW, None));
            rendered += 1;
            for follow_up in generator.settle(&event, Outcome::Sent) {
                black_box(follow_up.event.render(NOW, None));
                rendered += 1;
                black_box(generator.settle(&follow_up.event, Outcome::Sent));
            }
        }
        let nanoseconds = start.elapsed().as_nanos() / u128::from(rendered);
        println!("{name}: {nanoseconds} ns per event");
    }
}
