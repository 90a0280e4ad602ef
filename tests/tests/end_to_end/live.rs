//! Live tuning: an edit changes what running processes do, and nothing else.

use std::time::Duration;

use jiff::Timestamp;
use ordermill_crds::OrderProducer;
use ordermill_tests::reader::Record;
use ordermill_tests::wait::eventually_ok;
use ordermill_tests::{TestResult, unique};

use super::release::{OnKind, SOON, broker, install, now, without_gap};
use crate::support::producer::{injected, read_topic, sequence, totals};

/// Events that a share is judged by.
const EVENTS: usize = 5_000;

/// A producer of food orders on the shared broker; returns its topic.
async fn food(stage: &OnKind, rate: u32) -> TestResult<String> {
    let topic = unique("orders");
    let spec = format!(
        "{{model: FoodOrder, rate: {rate}, errorRate: 0.1, topics: {{orderEvents: {{name: {topic}, partitions: 3}}}}, \
          kafka: {{bootstrapServers: '{}'}}}}",
        broker().await?.inside()
    );
    stage.create::<OrderProducer>("food", &spec).await?;
    stage.ready("food", "Running").await;
    Ok(topic)
}

/// Asserts that among what was made between two moments this share was meant to fail, whether it was sent or held back.
fn assert_injected(what: &str, records: &[Record], share: f64) {
    let sound = records
        .iter()
        .filter(|record| injected(record).is_none())
        .count() as u64;
    let numbers = records.iter().map(sequence);
    let all = numbers.clone().max().unwrap() - numbers.min().unwrap() + 1;
    assert_share(what, all - sound, all, share);
}

/// Fails where a count of a share of independent draws is off by more than a chance of 1 in 10⁹: 6.2 standard deviations,
/// and one for the counts being whole.
fn assert_share(what: &str, count: u64, of: u64, share: f64) {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let (count, of) = (count as f64, of as f64);
    let bound = 6.2 * (of * share * (1.0 - share)).sqrt() + 1.0;
    let off = (count - of * share).abs();
    assert!(
        off <= bound,
        "{what}: {count} of {of} are {off:.0} off a share of {share}, more than {bound:.0}"
    );
}

#[tokio::test]
async fn an_edit_of_the_error_rate_is_all_that_changes() -> TestResult {
    let stage = install("live").await?;
    let topic = food(&stage, 400).await?;
    let before = stage.lives("food").await?;
    let bootstrap = broker().await?.outside();
    let until_edit = enough(bootstrap, &topic, 0).await?;
    let edited = now();
    let generation = stage.edit("food", "{errorRate: 0.5}").await?;
    stage.applied("food", generation).await;
    let effective = now();
    enough(bootstrap, &topic, effective).await?;
    assert_eq!(
        stage.lives("food").await?,
        before,
        "the same pods, none restarted"
    );
    let generation = stage.edit("food", "{paused: true}").await?;
    stage.applied("food", generation).await;

    let broker = broker().await?;
    let records = without_gap(&stage, broker, &topic, "food", until_edit + 1).await;
    assert_eq!(
        totals(&records).len(),
        1,
        "one instance; none lost, none doubled"
    );
    let at = |record: &Record| record.timestamp.unwrap();
    let (mut early, mut late) = (records.clone(), records);
    early.retain(|record| at(record) < edited);
    late.retain(|record| at(record) > effective);
    assert_injected("before the edit", &early, 0.1);
    assert_injected("after it", &late, 0.5);
    let status = stage.ready("food", "Paused").await;
    assert!(status.observed.unwrap().injected > Some(0));
    Ok(())
}

/// Waits for enough events that are younger than a moment; returns how many are there.
async fn enough(bootstrap: &str, topic: &str, moment: i64) -> TestResult<usize> {
    let enough = eventually_ok(SOON, "enough events", async || {
        let records = read_topic(bootstrap, topic)
            .await
            .map_err(|it| it.to_string())?;
        let young = records.iter().filter(|it| it.timestamp.unwrap() > moment);
        match young.count() {
            count if count >= EVENTS => Ok(records.len()),
            count => Err(format!("{count}")),
        }
    });
    Ok(enough.await)
}

#[tokio::test]
async fn a_hundred_edits_are_in_force_within_moments() -> TestResult {
    let stage = install("latency").await?;
    food(&stage, 10).await?;
    let before = stage.lives("food").await?;
    let latencies = Latencies::of_edits(&stage, 100).await?;
    println!("edit sent → running process uses it, by push: {latencies}");
    assert_eq!(stage.lives("food").await?, before);
    // A machine that is busy with other tests is slow now and then; half of all edits are not.
    assert!(
        latencies.percentile(50) < Duration::from_millis(500),
        "{latencies}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_way_to_the_pods_the_kubelet_brings_the_edits() -> TestResult {
    let stage = install("nudge").await?;
    food(&stage, 10).await?;
    let before = stage.lives("food").await?;
    reject_pushes(&stage).await?;
    let latencies = Latencies::of_edits(&stage, 100).await?;
    println!("edit sent → running process uses it, by nudge alone: {latencies}");
    assert_eq!(stage.lives("food").await?, before);
    let failures = "ordermill_operator_tuning_pushes_total{result=\"unreachable\"} ";
    let failed: u64 = eventually_ok(SOON, "the operator's metrics", async || {
        let metrics = stage.operator_metrics().await;
        let metrics = metrics.map_err(|it| it.to_string())?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(failures));
        line.and_then(|count| count.parse().ok()).ok_or(metrics)
    })
    .await;
    println!("pushes that reached nobody: {failed}");
    assert!(failed > 0);
    assert!(
        latencies.percentile(99) < Duration::from_secs(2),
        "{latencies}"
    );
    Ok(())
}

/// In the pod's own network, requests to the admin port from all but the node, whose kubelet asks whether it is alive.
async fn reject_pushes(stage: &OnKind) -> TestResult {
    let pods = stage.pods("food").await?;
    let address = pods[0].status.clone().unwrap().pod_ip.unwrap();
    let script = format!(
        "for namespace in $(ip netns list | cut -d' ' -f1); do
           if ip -n $namespace address show | grep -q 'inet {address}/'; then
             ip netns exec $namespace iptables -A INPUT -p tcp --dport 8081 ! -s 10.244.0.1 -j REJECT --reject-with tcp-reset
             exit 0
           fi
         done
         exit 1"
    );
    stage.cluster.on_node(&["sh", "-euc", &script])?;
    Ok(())
}

/// From sending an edit to the moment that the process itself gives in its log.
struct Latencies(Vec<Duration>);

impl Latencies {
    async fn of_edits(stage: &OnKind, count: usize) -> TestResult<Self> {
        let mut latencies = Vec::new();
        for edit in 0..count {
            let rate = if edit % 2 == 0 { 0.5 } else { 0.1 };
            let sent = now();
            let generation = stage
                .edit("food", &format!("{{errorRate: {rate}}}"))
                .await?;
            latencies.push(tuned_at(stage, generation).await? - sent);
        }
        let durations = latencies
            .into_iter()
            .map(|it| Duration::from_millis(u64::try_from(it).unwrap_or(0)));
        let mut durations: Vec<_> = durations.collect();
        durations.sort_unstable();
        Ok(Self(durations))
    }

    fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100);
        self.0[place.saturating_sub(1)]
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (middle, high) = (self.percentile(50), self.percentile(99));
        write!(
            formatter,
            "p50 {middle:?}, p99 {high:?} of {} edits",
            self.0.len()
        )
    }
}

/// When the only pod began to work with a generation, as it wrote itself.
async fn tuned_at(stage: &OnKind, generation: i64) -> TestResult<i64> {
    let tuned = eventually_ok(SOON, "the line that tells of the edit", async || {
        let pods = stage.pods("food").await.map_err(|it| it.to_string())?;
        let log = stage.log(&pods[0]).await.map_err(|it| it.to_string())?;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .filter(|line| line["generation"] == generation)
            .find(|line| {
                line["message"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("tuned"))
            })
            .and_then(|line| line["timestamp"].as_str()?.parse::<Timestamp>().ok())
            .map(Timestamp::as_millisecond)
            .ok_or_else(|| log.lines().last().unwrap_or_default().to_owned())
    });
    Ok(tuned.await)
}
