//! The APIs of the wood orders as processes: with replicas, without a database, and with faults.

mod database;
mod faults;
mod replicas;

use serde_json::{Value, json};

fn order(number: usize) -> Value {
    json!({
        "order_id": format!("0192f0c1-2d3e-7f00-8000-{number:012}"), "customer_id": "CUST-0001",
        "wood_type": "oak", "quantity": 1, "timestamp": "2026-11-21T10:00:00Z",
    })
}

fn ids(answer: &Value) -> Vec<String> {
    let orders = answer["orders"].as_array().unwrap();
    let id = |order: &Value| order["order_id"].as_str().unwrap().to_owned();
    orders.iter().map(id).collect()
}
