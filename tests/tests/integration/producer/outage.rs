//! Producers without end outlive an absent broker: nothing is lost, nothing doubled, nothing burnt meanwhile.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::producer::{
    Configuration, Processor, Producer, SOON, Setup, State, Totals, read_topic, totals,
};
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::{Exit, Signal};
use ordermill_tests::{TestResult, eventually, unique};

const UNREACHABLE: &str = "KafkaUnreachable";

/// Share of one processor that a producer may use while it waits. One that does not wait takes all of one.
const IDLE_SHARE: f64 = 0.25;

/// What a producer may hold, whatever it was asked to send: a pod's default limit, of which a full queue of 100,000 records
/// takes three quarters with all else, and which an unbounded one would pass some seconds later at the rate below.
const MEMORY_MEBIBYTES: f64 = 256.0;

/// Records that wait for a broker at most.
const QUEUE_RECORDS: u64 = 100_000;

/// A debug build makes so many records in ten seconds of a processor, of which a busy machine gives it a part.
const FULL_DEADLINE: Duration = Duration::from_mins(3);

fn spec(topic: &str, rate: u32) -> String {
    format!(
        "{{model: WoodOrder, rate: {rate}, errorRate: 0, topics: {{orders: {{name: {topic}, partitions: 2}}}}}}"
    )
}

fn configuration(broker: &Broker, topic: &str, rate: u32) -> TestResult<Configuration> {
    Configuration::saved(Setup::plain(broker.bootstrap())?, &spec(topic, rate))
}

/// Waits until a producer runs and has delivered so many events more.
async fn runs_again(producer: &mut Producer, more: u64) -> TestResult<State> {
    let before = producer.state().await?.events();
    let what = format!("{more} events more");
    let goes_on = |state: &State| state.phase == "Running" && state.events() >= before + more;
    producer.wait_for(&what, goes_on).await
}

fn waits(state: &State) -> bool {
    state.waits_for(UNREACHABLE)
}

/// What is there of the one instance that sent to a topic.
async fn sole_totals(broker: &Broker, topic: &str) -> TestResult<Totals> {
    let records = read_topic(broker.bootstrap(), topic).await?;
    let all: Vec<Totals> = totals(&records).into_values().collect();
    assert_eq!(all.len(), 1, "one instance sent to {topic}: {all:?}");
    Ok(all[0])
}

#[tokio::test]
async fn outages_lose_and_double_nothing() -> TestResult {
    let mut broker = Broker::start().await?;
    broker.kill()?;
    let topic = unique("constant");
    let mut producer = Producer::start(&configuration(&broker, &topic, 200)?).await?;

    // Before the broker is there at all. librdkafka's own calls would wait ten seconds before they tell.
    let soon = Duration::from_secs(8);
    producer
        .wait_within(soon, "a start without a broker", waits)
        .await?;
    assert_eq!(producer.readiness().await?, 503);
    broker.restart().await?;
    runs_again(&mut producer, 100).await?;
    assert_eq!(producer.readiness().await?, 200);

    // A long outage: it lasts as long as a producer that is asked to end waits for it, which is 20 s.
    let other = unique("ending");
    let mut ending = Producer::start(&configuration(&broker, &other, 500)?).await?;
    ending.wait_for_events(20).await?;
    broker.kill()?;
    let begin = Instant::now();
    producer.wait_for("the first outage", waits).await?;
    let (told_at, used) = (Instant::now(), producer.processor()?.used);
    ending.wait_for("its outage", waits).await?;
    let exit = ending.process.stop(SOON).await?.assert_code(1);
    let undelivered = "records were not delivered in time";
    assert!(exit.stderr.contains(undelivered), "{}", exit.stderr);
    let outage = begin.elapsed();
    assert!(
        outage >= Duration::from_secs(20),
        "it was as short as {outage:?}"
    );
    let used = producer.processor()?.used.saturating_sub(used);
    let share = used.div_duration_f64(told_at.elapsed());
    println!(
        "{outage:?} without a broker took {:.1} % of a processor",
        share * 100.0
    );
    assert!(
        share < IDLE_SHARE,
        "it used {share:.2} of a processor while it waited"
    );
    assert!(waits(&producer.state().await?));
    broker.restart().await?;
    // What was due meanwhile, and more.
    runs_again(&mut producer, 4000).await?;

    // And another one right after it.
    broker.kill()?;
    producer.wait_for("the second outage", waits).await?;
    broker.restart().await?;
    runs_again(&mut producer, 200).await?;

    assert_eq!(
        producer.troubles(UNREACHABLE)?,
        3,
        "each of three outages is told once"
    );
    assert_eq!(producer.told("Kafka works again")?.len(), 3);
    let _ = producer.stop().await?;
    let delivered = sole_totals(&broker, &topic).await?;
    assert!(delivered.events > 4000, "{delivered:?}");
    assert_eq!((delivered.copies, delivered.suppressed), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_tuning_is_taken_before_kafka_answers() -> TestResult {
    // It takes connections and answers nothing, so that whoever asks waits as long as librdkafka does: ten seconds.
    let mute = TcpListener::bind("127.0.0.1:0")?;
    let soon = Duration::from_secs(5);
    let setup = Setup::plain(&mute.local_addr()?.to_string())?;
    let mut configuration = Configuration::saved(setup, &spec("orders", 1))?;
    let mut producer = Producer::start(&configuration).await?;
    for (rate, paused, ready) in [(2, false, 503), (2, true, 200), (3, false, 503)] {
        let spec = format!("{{model: WoodOrder, rate: {rate}, paused: {paused}}}");
        let generation = configuration.retune(&spec)?;
        let what = format!("generation {generation}");
        let state = producer
            .wait_within(soon, &what, |state| state.generation == generation)
            .await?;
        assert_eq!(state.phase == "Paused", paused, "{state:?}");
        assert_ne!(state.phase, "Running", "Kafka never answered");
        assert_eq!(producer.readiness().await?, ready);
    }
    let _ = producer.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_outage_at_a_high_rate_holds_the_memory_and_shows_as_lateness() -> TestResult {
    let mut broker = Broker::start().await?;
    let topic = unique("fast");
    let mut configuration = configuration(&broker, &topic, 20_000)?;
    let mut producer = Producer::start(&configuration).await?;
    producer.wait_for_events(10_000).await?;
    broker.kill()?;
    let before = producer.wait_for("the outage", waits).await?;

    // The queue is full when nothing is made any more: then it hardly even asks for a processor.
    let full = async || {
        let asked = |it: Processor| it.used + it.waited;
        let (begin, before) = (Instant::now(), asked(producer.processor().ok()?));
        // The time to measure over.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let share = asked(producer.processor().ok()?)
            .saturating_sub(before)
            .div_duration_f64(begin.elapsed());
        (share < IDLE_SHARE).then_some(())
    };
    let idle = "an idle producer with a full queue";
    eventually(FULL_DEADLINE, idle, full).await;
    let held = producer.resident_mebibytes()?;
    println!("a full queue holds {held:.0} MiB");
    assert!(held < MEMORY_MEBIBYTES, "it holds {held:.0} MiB");

    broker.restart().await?;
    let late = |state: &State| state.phase == "Running" && state.lateness_seconds > Some(1.0);
    producer.wait_for("lateness of what waited", late).await?;
    // Nothing new is made, and all that was is delivered.
    producer
        .retune(&mut configuration, &spec(&topic, 0))
        .await?;
    let gone = |state: &State| state.events() >= before.events() + QUEUE_RECORDS;
    producer
        .wait_within(FULL_DEADLINE, "what waited, delivered", gone)
        .await?;
    let _ = producer.stop().await?;
    let delivered = sole_totals(&broker, &topic).await?;
    let waited = delivered.events - before.events();
    assert!(
        waited >= QUEUE_RECORDS,
        "the queue was not full: {waited} records waited"
    );
    assert_eq!((delivered.copies, delivered.suppressed), (0, 0));
    Ok(())
}

#[tokio::test]
async fn asked_to_end_under_load_it_delivers_everything() -> TestResult {
    let broker = Broker::shared().await?;
    let topic = unique("load");
    let mut producer = Producer::start(&configuration(&broker, &topic, 5000)?).await?;
    let before = producer.wait_for_events(5000).await?;
    let begin = Instant::now();
    let exit: Exit = producer.stop().await?;
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(25), "its end took {took:?}");
    assert!(
        exit.stdout.contains("the producer has stopped"),
        "{}",
        exit.stdout
    );
    let delivered = sole_totals(&broker, &topic).await?;
    assert!(delivered.events >= before.events(), "{delivered:?}");
    Ok(())
}

#[tokio::test]
async fn asked_twice_it_ends_at_once() -> TestResult {
    let mut broker = Broker::start().await?;
    let topic = unique("twice");
    let mut producer = Producer::start(&configuration(&broker, &topic, 100)?).await?;
    producer.wait_for_events(10).await?;
    broker.kill()?;
    producer.wait_for("the outage", waits).await?;
    producer.process.terminate()?;
    producer
        .wait_for("the first signal", |state| state.phase == "Stopping")
        .await?;
    let begin = Instant::now();
    producer.process.signal(Signal::TERM)?;
    let _ = producer.process.wait(SOON).await?.assert_code(143);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "its end took {took:?}");
    Ok(())
}
