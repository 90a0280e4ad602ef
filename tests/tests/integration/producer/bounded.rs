//! A bounded producer delivers exactly its count, whatever dies meanwhile, and a seed makes it repeatable.

use std::time::Duration;

use crate::support::producer::{
    Configuration, Dice, Producer, Run, SOON, Setup, State, comparable, count_written, injected,
    is_copy, read_topic, read_topics, run_id, sequence, totals,
};
use ordermill_tests::kafka::Broker;
use ordermill_tests::process::Exit;
use ordermill_tests::reader::Record;
use ordermill_tests::{TestResult, process, unique};

/// For a run that is killed again and again on a busy machine.
const RUN_DEADLINE: Duration = Duration::from_mins(2);

const DONE: &str = "done: every event is sent";

/// Kills a run (SIGKILL) at drawn moments: once while it starts and, `kills` times, while it sends, within a transaction
/// or between two. It sends no more than 400 events meanwhile in each life, if it sends no faster than 400 a second.
async fn kill_often(run: &Run, mut dice: Dice, kills: usize) -> TestResult {
    let mut producer = run.start().await?;
    kill_after(&mut producer, dice.milliseconds(20, 500)).await?;
    for _ in 0..kills {
        let mut producer = run.start().await?;
        // Counted are events of this life alone.
        producer.wait_for_events(dice.number(1, 150)).await?;
        kill_after(&mut producer, dice.milliseconds(0, 250)).await?;
    }
    Ok(())
}

/// Waits for the end of a life that was not the first.
async fn last_life(mut producer: Producer) -> TestResult {
    let exit = producer.process.wait(RUN_DEADLINE).await?.assert_code(0);
    for told in ["the run goes on where it was", DONE] {
        assert!(
            exit.stdout.contains(told),
            "{told:?} is not in\n{}",
            exit.stdout
        );
    }
    Ok(())
}

async fn kill_after(producer: &mut Producer, moment: Duration) -> TestResult {
    match producer.process.wait(moment).await {
        Err(process::Error::Deadline { .. }) => Ok(producer.process.kill()?),
        Err(other) => Err(other.into()),
        Ok(exit) => Err(format!("it ended before it was killed: {exit:?}").into()),
    }
}

/// Runs it to its end without disturbance.
async fn undisturbed(run: &Run) -> TestResult<Exit> {
    Ok(run
        .start()
        .await?
        .process
        .wait(RUN_DEADLINE)
        .await?
        .assert_code(0))
}

/// One seeded run of a model; `RATE` differs between disturbed and undisturbed runs, which must not matter.
struct Model {
    /// Prefixes of its topics.
    topics: &'static [&'static str],
    events: u64,
    run: fn(&str, &[String], u64, &str) -> TestResult<Run>,
}

const SEED: &str = "4711";

const MODELS: [Model; 3] = [
    Model {
        topics: &["food"],
        events: 2500,
        run: |bootstrap, topics, events, rate| {
            let variables = [
                ("KAFKA_BOOTSTRAP_SERVERS", bootstrap),
                ("KAFKA_TOPIC", &topics[0]),
                ("NUM_EVENTS", &events.to_string()),
                ("RUN_ID", &run_id()),
                ("SEED", SEED),
                ("RATE", rate),
            ];
            Ok(Run::by_hand("food-order", variables))
        },
    },
    Model {
        topics: &["sales", "refunds"],
        events: 2500,
        run: |bootstrap, topics, events, rate| {
            let variables = [
                ("KAFKA_BOOTSTRAP_SERVERS", bootstrap),
                ("KAFKA_TOPIC", &topics[0]),
                ("KAFKA_TOPIC_REFUNDS", &topics[1]),
                ("NUM_EVENTS", &events.to_string()),
                ("RUN_ID", &run_id()),
                ("SEED", SEED),
                ("RATE", rate),
                ("REFUND_PROBABILITY", "0.3"),
            ];
            Ok(Run::by_hand("retail-sale", variables))
        },
    },
    Model {
        topics: &["placed", "completed", "cancelled", "paid"],
        events: 1500,
        // Placed at a fifth of the rate and ready after half a second, dozens of orders wait for their follow-ups at any time.
        run: |bootstrap, topics, events, rate| {
            let [placed, completed, cancelled, paid] = topics else {
                return Err("four topics".into());
            };
            let rate: f64 = rate.parse()?;
            let spec = format!(
                "{{model: DrinkOrder, maxEvents: {events}, seed: {SEED}, rate: {}, \
                 drinkOrder: {{preparation: 500ms, cancelProbability: 0.2}}, \
                 topics: {{orderPlaced: {{name: {placed}}}, orderCompleted: {{name: {completed}}}, \
                 orderCancelled: {{name: {cancelled}}}, paymentProcessed: {{name: {paid}}}}}}}",
                rate / 5.0
            );
            let configuration = Configuration::saved(Setup::plain(bootstrap)?, &spec)?;
            Ok(Run::Configured(Box::new(configuration)))
        },
    },
];

impl Model {
    async fn topics(&self, broker: &Broker) -> TestResult<Vec<String>> {
        let mut topics = Vec::new();
        for prefix in self.topics {
            let topic = unique(prefix);
            broker.create_topic(&topic, 3).await?;
            topics.push(topic);
        }
        Ok(topics)
    }

    fn run(&self, broker: &Broker, topics: &[String], rate: &str) -> TestResult<Run> {
        (self.run)(broker.bootstrap(), topics, self.events, rate)
    }
}

#[tokio::test]
async fn kills_of_producer_and_broker_change_neither_count_nor_content() -> TestResult {
    let mut broker = Broker::start().await?;
    let mut dice = Dice::new("kills");
    let mut topics = Vec::new();
    let mut runs = Vec::new();
    for model in &MODELS {
        let own = model.topics(&broker).await?;
        runs.push(model.run(&broker, &own, "400")?);
        topics.push(own);
    }
    let killed = tokio::join!(
        kill_often(&runs[0], dice.fork(), 4),
        kill_often(&runs[1], dice.fork(), 4),
        kill_often(&runs[2], dice.fork(), 4),
    );
    killed.0?;
    killed.1?;
    killed.2?;

    // The broker dies within transactions, and one of the three with it: that one starts without a broker.
    let mut lives = Vec::new();
    for run in &runs {
        lives.push(run.start().await?);
    }
    for life in &mut lives {
        life.wait_for_events(1).await?;
    }
    broker.kill()?;
    let one = usize::try_from(dice.number(0, 3))?;
    lives[one].process.kill()?;
    lives[one] = runs[one].start().await?;
    let waits = |state: &State| state.waits_for("KafkaUnreachable");
    lives[one]
        .wait_for("a start without a broker", waits)
        .await?;
    broker.restart().await?;
    for life in lives {
        last_life(life).await?;
    }

    // The same without any disturbance, at another pace.
    let mut others = Vec::new();
    for model in &MODELS {
        let own = model.topics(&broker).await?;
        others.push((model.run(&broker, &own, "2000")?, own));
    }
    let (food, retail, drinks) = tokio::join!(
        undisturbed(&others[0].0),
        undisturbed(&others[1].0),
        undisturbed(&others[2].0)
    );
    drop((food?, retail?, drinks?));

    let bootstrap = broker.bootstrap();
    for ((model, disturbed), (_, calm)) in MODELS.iter().zip(&topics).zip(&others) {
        let prefixes = model.topics;
        let disturbed = read_topics(bootstrap, disturbed).await?;
        let numbers = comparable(disturbed.iter().flatten())?.into_keys();
        assert_eq!(
            numbers.collect::<Vec<_>>(),
            (0..model.events).collect::<Vec<_>>(),
            "{prefixes:?}"
        );
        for (disturbed, calm) in disturbed.iter().zip(read_topics(bootstrap, calm).await?) {
            assert!(
                comparable(disturbed)? == comparable(&calm)?,
                "{prefixes:?} differ"
            );
        }
    }
    for order in read_topic(bootstrap, &topics[0][0]).await? {
        let id = format!("order_{:06}", sequence(&order) + 1);
        assert_eq!(order.key_text(), Some(id.as_str()));
    }

    // A run that is done stays done.
    for (run, own) in runs.iter().zip(&topics) {
        let before = count_written(bootstrap, own).await?;
        let exit = undisturbed(run).await?;
        assert!(exit.stdout.contains(DONE), "{}", exit.stdout);
        assert_eq!(count_written(bootstrap, own).await?, before);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_held_back_does_not_count() -> TestResult {
    const EVENTS: u64 = 1000;
    let broker = Broker::shared().await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: WoodOrder, maxEvents: {EVENTS}, seed: 5, rate: 800, errorRate: 0.2, \
         faults: {{drop: {{rate: 0.1}}, duplicate: {{rate: 0.1}}, outOfOrder: {{rate: 0.1}}, late: {{rate: 0.1, duration: 1h}}}}, \
         topics: {{orders: {{name: {topic}, partitions: 1}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut dice = Dice::new("held back");
    let run = Run::Configured(Box::new(configuration));
    kill_often(&run, dice.fork(), 1).await?;
    last_life(run.start().await?).await?;

    let records = read_topic(broker.bootstrap(), &topic).await?;
    let totals: Vec<_> = totals(&records).into_values().collect();
    assert_eq!(totals.len(), 1, "{totals:?}");
    assert_eq!(totals[0].events, EVENTS);
    assert!(
        totals[0].suppressed > 0 && totals[0].copies > 0,
        "{totals:?}"
    );
    // Faults follow from seed and number too, through any number of lives.
    let marked = |fault: &str| {
        let has = |record: &&Record| injected(record).is_some_and(|marks| marks.contains(fault));
        records
            .iter()
            .filter(|record| !is_copy(record))
            .filter(has)
            .count()
    };
    assert!(marked("late") > 0 && marked("outOfOrder") > 0);
    Ok(())
}

#[tokio::test]
async fn asked_to_end_it_is_not_done_and_the_next_start_is() -> TestResult {
    const EVENTS: u64 = 200;
    let broker = Broker::shared().await?;
    let topic = unique("orders");
    let spec = format!(
        "{{model: WoodOrder, maxEvents: {EVENTS}, rate: 50, errorRate: 0, topics: {{orders: {{name: {topic}, partitions: 1}}}}}}"
    );
    let run = Run::Configured(Box::new(Configuration::saved(
        Setup::plain(broker.bootstrap())?,
        &spec,
    )?));
    let mut producer = run.start().await?;
    producer.wait_for_events(20).await?;
    // A Job would take 0 of a pod that is evicted for done.
    let exit = producer.process.stop(SOON).await?.assert_code(1);
    assert!(
        exit.stderr.contains("goes on where this one was"),
        "{}",
        exit.stderr
    );
    last_life(run.start().await?).await?;
    let totals = totals(&read_topic(broker.bootstrap(), &topic).await?);
    let events: Vec<u64> = totals.values().map(|total| total.events).collect();
    assert_eq!(events, [EVENTS]);
    Ok(())
}

#[tokio::test]
async fn ordinals_share_the_work() -> TestResult {
    const EVENTS: usize = 1000;
    let broker = Broker::shared().await?;
    let topic = unique("shared");
    let spec = format!(
        "{{model: FoodOrder, replicas: 3, maxEvents: {EVENTS}, rate: 500, errorRate: 0.3, \
         topics: {{orderEvents: {{name: {topic}, partitions: 2}}}}}}"
    );
    let configuration = Configuration::saved(Setup::plain(broker.bootstrap())?, &spec)?;
    let mut producers = Vec::new();
    for ordinal in 0..3 {
        producers.push(Producer::start_as(&configuration, ordinal).await?);
    }
    for producer in &mut producers {
        let exit = producer.process.wait(SOON).await?.assert_code(0);
        assert!(exit.stdout.contains(DONE), "{}", exit.stdout);
    }
    let records = read_topic(broker.bootstrap(), &topic).await?;
    let mut ids: Vec<_> = records
        .iter()
        .map(|record| record.key_text().unwrap())
        .collect();
    ids.sort_unstable();
    let expected: Vec<String> = (1..=EVENTS)
        .map(|number| format!("order_{number:06}"))
        .collect();
    assert_eq!(ids, expected);
    let shares: Vec<u64> = totals(&records)
        .into_values()
        .map(|totals| totals.events)
        .collect();
    assert_eq!(shares, [334, 333, 333]);
    Ok(())
}
