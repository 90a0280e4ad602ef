//! The objects of the playground, which only a machine that can pull images can run.

use ordermill_tests::TestResult;
use ordermill_tests::kubernetes::Cluster;

#[tokio::test]
async fn the_playgrounds_objects_are_those_that_a_real_api_server_takes() -> TestResult {
    // Its own, as its namespaces have fixed names.
    let cluster = Cluster::start().await?;
    cluster.install_strimzi_crds().await?;
    for namespace in ["kafka", "monitoring"] {
        cluster.kubectl(["create", "namespace", namespace]).await?;
    }
    let check = ["apply", "--dry-run=server", "--validate=strict"];
    let files = [
        "--filename",
        "kind/kafka.yaml",
        "--filename",
        "kind/lgtm.yaml",
    ];
    let taken = cluster.kubectl(check.iter().chain(&files)).await?;
    for object in [
        "kafka.kafka.strimzi.io/orders",
        "kafkanodepool.kafka.strimzi.io/broker",
        "deployment.apps/lgtm",
        "service/lgtm",
    ] {
        assert!(taken.contains(object), "{object} in {taken}");
    }
    Ok(())
}
