//! Passwords, certificates and rights: the right ones are let in, and each wrong one is refused for its own reason.

use ordermill_tests::TestResult;
use ordermill_tests::certificates::{Authority, Validity};
use ordermill_tests::kafka::{Broker, Mechanism, Operation, RefusalKind, Resource, connect};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::send;

/// The kind of refusal that `config` meets.
async fn refused(config: &ClientConfig) -> Option<RefusalKind> {
    connect(config).await.err().map(|refusal| refusal.kind)
}

#[tokio::test]
async fn passwords_are_checked_on_both_listeners() -> TestResult {
    let authority = Authority::new("harness")?;
    let broker = Broker::builder()
        .user("alice", "right horse")
        .user("bob", "b")
        .tls(&authority)
        .start()
        .await?;
    for mechanism in Mechanism::ALL {
        connect(&broker.sasl_client(mechanism, "alice", "right horse")).await?;
        connect(&broker.sasl_ssl_client(&authority, mechanism, "bob", "b")).await?;
        let wrong = broker.sasl_client(mechanism, "alice", "wrong horse");
        assert_eq!(
            refused(&wrong).await,
            Some(RefusalKind::Authentication),
            "{mechanism:?}"
        );
        let stranger = broker.sasl_ssl_client(&authority, mechanism, "carol", "b");
        assert_eq!(
            refused(&stranger).await,
            Some(RefusalKind::Authentication),
            "{mechanism:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn client_certificates_are_required_and_checked() -> TestResult {
    let (authority, other) = (Authority::new("harness")?, Authority::new("harness")?);
    let mut broker = Broker::builder().tls(&authority).start().await?;
    let alice = authority.client("alice")?;
    connect(&broker.tls_client(&authority, &alice)).await?;

    let strange = other.client("alice")?;
    let expired = authority.client_valid("alice", Validity::expired())?;
    let mut bare = broker.tls_client(&authority, &alice);
    bare.remove("ssl.certificate.pem").remove("ssl.key.pem");
    let wrong = [
        (
            "a client of another authority",
            broker.tls_client(&authority, &strange),
        ),
        (
            "an expired certificate",
            broker.tls_client(&authority, &expired),
        ),
        (
            "a broker that the client does not trust",
            broker.tls_client(&other, &alice),
        ),
        ("no certificate", bare),
    ];
    for (what, config) in wrong {
        assert_eq!(refused(&config).await, Some(RefusalKind::Tls), "{what}");
    }

    broker.trust_only_clients_of(&[&other])?;
    broker.serve_certificate_of(&other)?;
    broker.restart().await?;
    connect(&broker.tls_client(&other, &strange)).await?;
    let outdated = broker.tls_client(&other, &alice);
    assert_eq!(
        refused(&outdated).await,
        Some(RefusalKind::Tls),
        "the old authority's client"
    );
    Ok(())
}

#[tokio::test]
async fn only_what_was_granted_is_allowed() -> TestResult {
    let broker = Broker::builder()
        .user("alice", "a")
        .authorizer()
        .start()
        .await?;
    broker.create_topic("granted", 1).await?;
    broker.create_topic("denied", 1).await?;
    broker
        .allow("alice", &[Operation::Write], Resource::Topic("granted"))
        .await?;
    let alice = broker.sasl_client(Mechanism::ScramSha256, "alice", "a");
    send(&alice, "granted", "key", "value").await?;
    let refused = Err(KafkaError::MessageProduction(
        RDKafkaErrorCode::TopicAuthorizationFailed,
    ));
    let outcome = send(&alice, "denied", "key", "value").await.map(drop);
    assert_eq!(outcome, refused);

    broker
        .revoke("alice", &[Operation::Write], Resource::Topic("granted"))
        .await?;
    let outcome = send(&alice, "granted", "key", "value").await.map(drop);
    assert_eq!(outcome, refused);
    Ok(())
}
