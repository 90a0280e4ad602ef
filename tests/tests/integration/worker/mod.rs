//! The worker of the wood orders as a process, between both APIs on PostgreSQL.

mod shop;
mod stock;
mod trace;

use std::time::Duration;

use ordermill_tests::{TestResult, eventually};

use self::shop::{QUANTITY, Shop};
use crate::support::SOON;
use crate::support::configuration::Configuration;
use crate::support::producer::{Producer, Run};

#[tokio::test]
async fn one_run_moves_all_orders_in_as_many_batches_as_that_takes() -> TestResult {
    let shop = Shop::open(&[]).await?;
    shop.deliver(1000).await?;
    shop.order(0..120).await?;
    let variables = [
        ("INTERVAL_SECONDS", "3600"),
        ("BATCH_SIZE", "10"),
        ("ERROR_RATE", "0"),
    ];
    let mut worker = shop.worker(&variables).await?;
    let state = worker.wait_for_events(120).await?;
    assert_eq!((state.injected(), state.failed()), (0, 0));
    assert_eq!(shop.count("processed").await?, 120);
    assert_eq!(shop.stock().await?, 1000 - 120 * QUANTITY);
    let _ = worker.process.stop(SOON).await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn workers_that_fail_on_purpose_share_the_orders_and_the_stock_is_right_to_the_unit()
-> TestResult {
    const ORDERS: usize = 200;
    let shop = Shop::open(&[]).await?;
    // Not enough for all of them.
    let delivered = 250;
    shop.deliver(delivered).await?;
    shop.order(0..ORDERS).await?;
    let variables = [
        ("INTERVAL_SECONDS", "0.2"),
        ("BATCH_SIZE", "7"),
        ("ERROR_RATE", "0.3"),
        ("LEASE_SECONDS", "1"),
        ("MAX_RETRIES", "1"),
    ];
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(shop.worker(&variables).await?);
    }
    let processed = shop.settled(ORDERS).await;
    assert!(processed > 0, "none is processed");
    assert_eq!(shop.stock().await?, delivered - processed * QUANTITY);
    // Each order was moved by one of them, once.
    let moved = eventually(SOON, "the numbers of all workers", async || {
        let mut moved = 0;
        for worker in &mut workers {
            moved += worker.state().await.ok()?.events();
        }
        (moved >= ORDERS as u64).then_some(moved)
    })
    .await;
    assert_eq!(moved, ORDERS as u64);
    for worker in &mut workers {
        assert!(worker.state().await?.fault("errorRate") > 0);
        let _ = worker.process.stop(SOON).await?.assert_code(0);
    }
    assert_eq!(shop.stock().await?, delivered - processed * QUANTITY);
    Ok(())
}

#[tokio::test]
async fn what_a_killed_worker_had_claimed_comes_back_after_its_lease() -> TestResult {
    let mut shop = Shop::with_stock("{app: Stock}").await?;
    shop.deliver(100).await?;
    shop.order(0..20).await?;
    // Its requests are heard and not answered.
    shop.stock
        .retune("{app: Stock, faults: {hang: {rate: 1}}}")
        .await?;
    let variables = [
        ("INTERVAL_SECONDS", "0.1"),
        ("ERROR_RATE", "0"),
        ("LEASE_SECONDS", "2"),
    ];
    let mut killed = shop.worker(&variables).await?;
    shop.until("processing", 20).await;
    killed.process.kill()?;
    shop.stock.retune("{app: Stock}").await?;
    shop.until("registered", 20).await;
    assert_eq!(shop.stock().await?, 100);
    let mut next = shop.worker(&variables).await?;
    next.wait_for_events(20).await?;
    assert_eq!(shop.count("processed").await?, 20);
    assert_eq!(shop.stock().await?, 100 - 20 * QUANTITY);
    Ok(())
}

#[tokio::test]
async fn an_edit_of_interval_and_error_rate_takes_effect_in_the_running_process() -> TestResult {
    let shop = Shop::open(&[]).await?;
    shop.deliver(100).await?;
    let spec = |interval: &str, error_rate: f64| {
        format!(
            "{{task: OrderManagement, interval: {interval}, errorRate: {error_rate}, orderManagement: {{lease: 1s}}}}"
        )
    };
    let mut configuration = Configuration::of_worker(shop.urls(), &spec("1h", 0.0))?;
    shop.order(0..5).await?;
    let mut worker = Producer::start(&configuration).await?;
    worker.wait_for_events(5).await?;

    // The next run would be in an hour; counted from the last one, it is due now.
    shop.order(5..10).await?;
    worker
        .retune(&mut configuration, &spec("100ms", 1.0))
        .await?;
    let state = worker
        .wait_for("injected failures", |state| state.injected() >= 10)
        .await?;
    assert_eq!((state.events(), state.failed()), (5, 0));
    assert_eq!(state.fault("errorRate"), state.injected());
    assert_eq!(shop.stock().await?, 100 - 5 * QUANTITY);

    worker
        .retune(&mut configuration, &spec("100ms", 0.0))
        .await?;
    worker.wait_for_events(10).await?;
    assert_eq!(shop.count("processed").await?, 10);
    assert_eq!(shop.stock().await?, 100 - 10 * QUANTITY);
    let _ = worker.process.stop(SOON).await?.assert_code(0);
    Ok(())
}

#[tokio::test]
async fn a_stock_api_that_is_away_is_waited_for() -> TestResult {
    let mut shop = Shop::with_stock("{app: Stock}").await?;
    shop.deliver(100).await?;
    shop.stock
        .retune("{app: Stock, faults: {unavailable: {rate: 1, duration: 2s}}}")
        .await?;
    // The first request that comes closes it.
    _ = shop.stock.get("/stocks").await;
    shop.order(0..10).await?;
    let variables = [
        ("INTERVAL_SECONDS", "0.2"),
        ("ERROR_RATE", "0"),
        ("LEASE_SECONDS", "1"),
    ];
    let mut worker = shop.worker(&variables).await?;
    worker.wait_for_reason("BackendUnreachable").await?;
    shop.stock.retune("{app: Stock}").await?;
    assert_eq!(shop.settled(10).await, 10);
    assert_eq!(shop.stock().await?, 100 - 10 * QUANTITY);
    let state = worker.wait_for_events(10).await?;
    assert_eq!((state.events(), state.phase.as_str()), (10, "Running"));
    Ok(())
}

#[tokio::test]
async fn what_it_cannot_use_is_named() -> TestResult {
    let wrong = [
        ("API_URL_ORDERS", "order"),
        ("BATCH_SIZE", "0"),
        ("LEASE_SECONDS", "0"),
    ];
    let mut worker = Run::by_hand("ordermanagement", wrong).start().await?;
    let exit = worker.process.wait(SOON).await?.assert_code(1);
    for (name, value) in wrong {
        let told = format!("{name}={value:?} cannot be used: ");
        assert!(exit.stderr.contains(&told), "{}", exit.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_ends_in_good_order_while_its_apis_are_away() -> TestResult {
    // Nobody listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let variables = [
        ("API_URL_ORDERS", url.as_str()),
        ("API_URL_STOCKS", url.as_str()),
        ("INTERVAL_SECONDS", "0.1"),
    ];
    let mut worker = Run::by_hand("order-management", variables).start().await?;
    worker.wait_for_reason("BackendUnreachable").await?;
    let stopping = tokio::time::Instant::now();
    let _ = worker.process.stop(SOON).await?.assert_code(0);
    assert!(stopping.elapsed() < Duration::from_secs(20));
    Ok(())
}
