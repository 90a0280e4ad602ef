//! TLS, SASL and rights: each way in works, each wrong way gives its reason, and credentials are rotated while events flow.

use std::fs;
use std::path::PathBuf;

use crate::support::producer::{Configuration, Producer, SOON, Setup, read_topic, totals};
use ordermill_config::{SaslFiles, TlsFiles};
use ordermill_crds::SaslMechanism;
use ordermill_tests::certificates::{Authority, ClientFiles};
use ordermill_tests::kafka::{Broker, Operation, Resource};
use ordermill_tests::{Scratch, TestResult};

const USER: &str = "miller";
const PASSWORD: &str = "flour and water";

const ROTATED: &str = "the Kafka credentials have changed";

/// Fast enough that something is always in flight, and no event is held back.
fn spec(topic: &str) -> String {
    format!(
        "{{model: FoodOrder, rate: 200, errorRate: 0, topics: {{orderEvents: {{name: {topic}}}}}}}"
    )
}

/// A password in files, as a mounted Secret has it.
struct Password(Scratch);

impl Password {
    fn new(password: &str) -> TestResult<Self> {
        let folder = Scratch::new("password")?;
        fs::write(folder.path().join("username"), USER)?;
        fs::write(folder.path().join("password"), password)?;
        Ok(Self(folder))
    }

    fn change(&self, password: &str) -> TestResult {
        Ok(fs::write(self.0.path().join("password"), password)?)
    }

    fn files(&self, mechanism: SaslMechanism) -> SaslFiles {
        let file = |name| self.0.path().join(name);
        SaslFiles {
            mechanism,
            username: file("username"),
            password: file("password"),
        }
    }

    /// Starts a producer that logs in with it, without TLS.
    async fn start(&self, broker: &Broker, mechanism: SaslMechanism) -> TestResult<Producer> {
        start(broker.bootstrap_sasl(), None, Some(self.files(mechanism))).await
    }
}

fn tls(certificate_authority: PathBuf) -> TlsFiles {
    let certificate_authority = Some(certificate_authority);
    TlsFiles {
        certificate_authority,
        ..TlsFiles::default()
    }
}

fn mutual_tls(files: ClientFiles) -> TlsFiles {
    TlsFiles {
        certificate_authority: Some(files.authority),
        certificate: Some(files.certificate),
        private_key: Some(files.key),
    }
}

/// Starts a producer that reaches its broker by these means.
async fn start(
    bootstrap: &str,
    tls: Option<TlsFiles>,
    sasl: Option<SaslFiles>,
) -> TestResult<Producer> {
    let mut setup = Setup::plain(bootstrap)?;
    setup.kafka.tls = tls;
    setup.kafka.sasl = sasl;
    Producer::start(&Configuration::saved(setup, &spec("orders"))?).await
}

/// Waits until events are delivered, and stops the producer.
async fn sends(mut producer: Producer) -> TestResult {
    producer.wait_for_events(20).await?;
    producer.stop().await?;
    Ok(())
}

/// Stops the producer and accounts for every event: none lost, none doubled.
async fn account(broker: &Broker, mut producer: Producer) -> TestResult {
    let state = producer.state().await?;
    producer.stop().await?;
    let totals = totals(&read_topic(broker.bootstrap(), "orders").await?);
    assert_eq!(totals.len(), 1, "one instance, never restarted: {totals:?}");
    let events: u64 = totals.values().map(|total| total.events).sum();
    assert!(events >= state.events(), "{events} of {}", state.events());
    Ok(())
}

#[tokio::test]
async fn every_mechanism_logs_in_with_and_without_tls() -> TestResult {
    let authority = Authority::new("bakery")?;
    let broker = Broker::builder()
        .user(USER, PASSWORD)
        .tls(&authority)
        .start()
        .await?;
    let folder = Scratch::new("authority")?;
    let files = authority.write_client(&authority.client(USER)?, folder.path())?;
    let password = Password::new(&format!("{PASSWORD}\n"))?;
    let all = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
    ];
    for mechanism in all {
        let sasl = Some(password.files(mechanism));
        let trusted = Some(tls(files.authority.clone()));
        sends(start(broker.bootstrap_sasl(), None, sasl.clone()).await?).await?;
        sends(start(broker.bootstrap_sasl_ssl(), trusted, sasl).await?).await?;
    }
    sends(start(broker.bootstrap_tls(), Some(mutual_tls(files)), None).await?).await
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_mended_one_is_taken() -> TestResult {
    let broker = Broker::builder().user(USER, PASSWORD).start().await?;
    let password = Password::new("sand")?;
    let mut producer = password.start(&broker, SaslMechanism::ScramSha512).await?;
    producer.wait_for_reason("AuthenticationFailed").await?;
    assert_eq!(producer.readiness().await?, 503);
    password.change(PASSWORD)?;
    producer.wait_for_events(20).await?;
    assert_eq!(producer.readiness().await?, 200);
    account(&broker, producer).await
}

#[tokio::test]
async fn a_broker_of_an_unknown_authority_is_told() -> TestResult {
    let authority = Authority::new("bakery")?;
    let stranger = Authority::new("bakery")?;
    let broker = Broker::builder()
        .user(USER, PASSWORD)
        .tls(&authority)
        .start()
        .await?;
    let folder = Scratch::new("authority")?;
    let trusted = stranger
        .write_client(&stranger.client(USER)?, folder.path())?
        .authority;
    let password = Password::new(PASSWORD)?;
    let sasl = Some(password.files(SaslMechanism::ScramSha256));
    let mut producer = start(broker.bootstrap_sasl_ssl(), Some(tls(trusted)), sasl).await?;
    producer.wait_for_reason("TlsFailed").await?;
    // The right authority takes the stranger's place in the file.
    authority.write_client(&authority.client(USER)?, folder.path())?;
    producer.wait_for_events(20).await?;
    account(&broker, producer).await
}

#[tokio::test]
async fn missing_rights_are_told_and_granted_ones_are_used() -> TestResult {
    let builder = Broker::builder().user(USER, PASSWORD);
    let broker = builder.authorizer().start().await?;
    let password = Password::new(PASSWORD)?;
    let mut producer = password.start(&broker, SaslMechanism::ScramSha512).await?;
    producer.wait_for_reason("NotAuthorized").await?;
    let topic = Resource::Topic("orders");
    broker.allow(USER, &[Operation::Describe], topic).await?;
    let state = producer.wait_for_reason("TopicCreationDenied").await?;
    assert!(state.message.unwrap_or_default().contains("orders"));
    broker.create_topic("orders", 2).await?;
    producer.wait_for_reason("NotAuthorized").await?;
    broker.allow(USER, &[Operation::Write], topic).await?;
    producer.wait_for_events(20).await?;
    account(&broker, producer).await
}

#[tokio::test]
async fn a_right_that_is_taken_away_holds_events_back_until_it_is_given_again() -> TestResult {
    let builder = Broker::builder().user(USER, PASSWORD);
    let broker = builder.authorizer().start().await?;
    broker.create_topic("orders", 2).await?;
    let (topic, rights) = (
        Resource::Topic("orders"),
        [Operation::Describe, Operation::Write],
    );
    broker.allow(USER, &rights, topic).await?;
    let password = Password::new(PASSWORD)?;
    let mut producer = password.start(&broker, SaslMechanism::Plain).await?;
    producer.wait_for_events(20).await?;
    broker.revoke(USER, &[Operation::Write], topic).await?;
    let refused = producer.wait_for_reason("NotAuthorized").await?;
    broker.allow(USER, &[Operation::Write], topic).await?;
    producer.wait_for_events(refused.events() + 100).await?;
    account(&broker, producer).await
}

#[tokio::test]
async fn a_client_certificate_is_rotated_while_events_flow() -> TestResult {
    let (old, new) = (Authority::new("old bakery")?, Authority::new("new bakery")?);
    let mut broker = Broker::builder()
        .tls(&old)
        .trust_clients_of(&new)
        .start()
        .await?;
    let folder = Scratch::new("certificates")?;
    let files = old.write_client(&old.client(USER)?, folder.path())?;
    let mut producer = start(broker.bootstrap_tls(), Some(mutual_tls(files)), None).await?;
    producer.wait_for_events(50).await?;
    // The broker's own certificate stays that of the old authority, which signs nothing of the client's any more.
    old.write_client(&new.client(USER)?, folder.path())?;
    producer.process.wait_for_line(SOON, ROTATED).await?;
    let rotated = producer.state().await?;
    producer.wait_for_events(rotated.events() + 50).await?;
    // Only the new certificate opens this broker, so the producer must have left the old one behind.
    broker.trust_only_clients_of(&[&new])?;
    broker.stop().await?;
    broker.restart().await?;
    let restarted = producer.state().await?;
    producer.wait_for_events(restarted.events() + 100).await?;
    account(&broker, producer).await
}

#[tokio::test]
async fn a_password_is_rotated_while_events_flow() -> TestResult {
    const SUCCESSOR: &str = "journeyman";
    let broker = Broker::builder()
        .user(USER, PASSWORD)
        .user(SUCCESSOR, "yeast")
        .authorizer()
        .start()
        .await?;
    broker.create_topic("orders", 2).await?;
    let topic = Resource::Topic("orders");
    let rights = [Operation::Describe, Operation::Write];
    for user in [USER, SUCCESSOR] {
        broker.allow(user, &rights, topic).await?;
    }
    let password = Password::new(PASSWORD)?;
    let mut producer = password.start(&broker, SaslMechanism::ScramSha512).await?;
    producer.wait_for_events(50).await?;
    fs::write(password.0.path().join("username"), SUCCESSOR)?;
    password.change("yeast")?;
    producer.process.wait_for_line(SOON, ROTATED).await?;
    // Whoever still came as the first user could write no more.
    broker.revoke(USER, &rights, topic).await?;
    let rotated = producer.state().await?;
    producer.wait_for_events(rotated.events() + 200).await?;
    account(&broker, producer).await
}
