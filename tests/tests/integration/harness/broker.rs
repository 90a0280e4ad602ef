//! A broker that dies and returns.

use ordermill_tests::kafka::Broker;
use ordermill_tests::reader::{Isolation, Until, read_all};
use ordermill_tests::{Failure, TestResult};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::net::{TcpListener, TcpStream};

use super::{SOON, keys, read, send};

#[tokio::test]
async fn a_killed_broker_returns_with_its_data_and_its_address() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.create_topic("kept", 3).await?;
    send(&broker.client(), "kept", "before", "value").await?;
    let (address, process) = (broker.bootstrap().to_owned(), broker.process().id());

    broker.kill()?;
    assert!(
        TcpStream::connect(&address).await.is_err(),
        "a dead broker does not listen"
    );
    broker.restart().await?;

    assert_eq!(broker.bootstrap(), address);
    assert_ne!(broker.process().id(), process);
    send(&broker.client(), "kept", "after", "value").await?;
    let records = read_all(
        broker.bootstrap(),
        "kept",
        Isolation::ReadCommitted,
        Until::count(2),
    )
    .await?;
    let mut found = keys(&records);
    found.sort_unstable();
    assert_eq!(found, ["after", "before"]);
    Ok(())
}

#[tokio::test]
async fn a_broker_whose_port_is_taken_says_so() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.kill()?;
    let squatter = TcpListener::bind(broker.bootstrap()).await?;
    let error = broker.restart().await.expect_err("the port is taken");
    let message = format!("{:?}", Failure::from(error));
    assert!(message.contains("Address already in use"), "{message}");
    drop(squatter);
    broker.restart().await?;
    Ok(())
}

#[tokio::test]
async fn a_producer_lives_through_an_outage() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.create_topic("outage", 1).await?;
    let producer: FutureProducer = broker.client().set("enable.idempotence", "true").create()?;
    let first = producer
        .send(FutureRecord::to("outage").key("1").payload("x"), SOON)
        .await;
    first.map_err(|(error, _)| error)?;
    broker.kill()?;
    let record = FutureRecord::to("outage").key("2").payload("x");
    let waiting = producer.send_result(record).map_err(|(error, _)| error)?;
    broker.restart().await?;
    waiting.await?.map_err(|(error, _)| error)?;
    let records = read(&broker, "outage", Isolation::ReadCommitted).await?;
    assert_eq!(keys(&records), ["1", "2"]);
    Ok(())
}
