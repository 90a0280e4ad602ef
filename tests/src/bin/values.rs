//! Writes the page with the table of the chart's values.
#![allow(missing_docs)]

use std::path::Path;

use ordermill_tests::TestResult;
use ordermill_tests::values_table::page_of_ordermill;

fn main() -> TestResult {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ordermill");
    let values = std::fs::read_to_string(chart.join("values.yaml"))?;
    std::fs::write(chart.join("README.md"), page_of_ordermill(&values))?;
    Ok(())
}
