use super::*;
use crate::testing::{changed, placement};

fn spec(text: &str) -> StreamConsumerSpec {
    serde_yaml::from_str(text).unwrap()
}

fn documents(text: &str) -> Documents {
    consumer_documents(&spec(text), placement("StreamConsumer"))
}

fn topic_names(text: &str) -> Vec<String> {
    let topics = consumer_topics(&spec(text));
    topics.iter().map(|topic| topic.name.to_string()).collect()
}

#[test]
fn each_handler_has_its_topics() {
    for (handler, topics) in [
        ("OrderCheck", vec!["orders", "orders.dead-letter"]),
        ("StockCheck", vec!["stocks", "stocks.dead-letter"]),
        (
            "Inventory",
            vec![
                "order-events",
                "inventory-events",
                "order-events.dead-letter",
            ],
        ),
        (
            "OrderAnalytics",
            vec!["order-events", "order-events.dead-letter"],
        ),
        (
            "RetailAnalytics",
            vec![
                "transactions",
                "refunds",
                "refunds.dead-letter",
                "transactions.dead-letter",
            ],
        ),
        (
            "CustomerStats",
            vec![
                "order.placed",
                "order.completed",
                "order.cancelled",
                "payment.processed",
                "order.cancelled.dead-letter",
                "order.completed.dead-letter",
                "order.placed.dead-letter",
                "payment.processed.dead-letter",
            ],
        ),
    ] {
        assert_eq!(topic_names(&format!("{{handler: {handler}}}")), topics);
    }
}

#[test]
fn a_topic_that_is_used_twice_is_listed_once_as_it_is_given() {
    let given = "{handler: RetailAnalytics, topics: [{name: a}, {name: b}], \
        onFailure: {action: DeadLetter, deadLetterTopic: {name: dead, partitions: 2}}}";
    assert_eq!(topic_names(given), ["a", "b", "dead"]);
    assert_eq!(consumer_topics(&spec(given))[2].partitions, Some(2));
    for action in ["Retry", "Skip"] {
        let text = format!("{{handler: OrderCheck, onFailure: {{action: {action}}}}}");
        assert_eq!(topic_names(&text), ["orders"]);
    }
}

#[test]
fn a_source_with_a_long_name_has_a_dead_letter_topic_of_its_own() {
    let longest = "a".repeat(237);
    assert_eq!(dead_letter_name(&longest), longest + ".dead-letter");
    let [one, two] = ["b", "c"].map(|end| dead_letter_name(&("a".repeat(248) + end)));
    assert_ne!(one, two);
    assert_eq!((one.len(), two.len()), (249, 249));
    assert!(one.ends_with(".dead-letter") && one.parse::<TopicName>().is_ok());
}

#[test]
fn an_edit_changes_the_document_that_it_belongs_to() {
    let base = documents("{handler: OrderAnalytics}");
    for (edit, workload, tuning) in [
        ("processingDelay: 10ms", false, true),
        ("errorRate: 0.5", false, true),
        ("paused: true", false, true),
        ("faults: {slow: {rate: 1, duration: 1s}}", false, true),
        ("telemetry: {logLevel: Debug}", false, true),
        ("telemetry: {consumerParent: Link}", true, false),
        ("group: other", true, false),
        ("groupProtocol: Consumer", true, false),
        ("topics: [{name: other}]", true, false),
        ("onFailure: {action: Retry}", true, false),
        (
            "onFailure: {action: DeadLetter, maxRetries: 6}",
            true,
            false,
        ),
        ("startFrom: {position: Latest}", true, false),
        (
            "replay: {id: one, from: {position: Timestamp, timestamp: '2026-01-01T00:00:00Z'}}",
            true,
            false,
        ),
        ("report: {every: 10}", true, false),
        // What is the default changes nothing.
        ("group: analytics-consumer-group", false, false),
        ("onFailure: {action: DeadLetter}", false, false),
        // How many there are is no matter of a pod.
        ("replicas: 7", false, false),
    ] {
        let other = documents(&format!("{{handler: OrderAnalytics, {edit}}}"));
        assert_eq!(changed(&base, &other), (workload, tuning), "{edit}");
    }
}

#[test]
fn addresses_that_may_hold_a_password_stand_in_no_document() {
    let documents = documents(
        "{handler: CustomerStats, database: {url: 'postgres://a:secret@b/c'}, \
        cache: {url: 'redis://:secret@d'}}",
    );
    let text = serde_json::to_string(&documents.workload).unwrap();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_dead_letter_topic_takes_what_its_source_takes_and_the_headers() {
    let source = |largest: &str| Topic {
        config: BTreeMap::from([("max.message.bytes".to_owned(), largest.to_owned())]),
        ..Topic::named("orders".parse().unwrap())
    };
    let largest = |source: Topic| {
        let topics = dead_letter_topics(None, &[source]);
        let config = topics.into_values().next().unwrap().config;
        config.get("max.message.bytes").cloned()
    };
    assert_eq!(largest(source("5000000")), Some("5016384".to_owned()));
    // What no broker takes is left to the broker to refuse.
    assert_eq!(largest(source("2147483647")), None);
    assert_eq!(largest(source("many")), None);
    assert_eq!(largest(Topic::named("orders".parse().unwrap())), None);
}
