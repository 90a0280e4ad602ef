//! A Kubernetes control plane for people, with our definitions and a Kafka, until Ctrl-C. Pods of the namespace `default`
//! run as processes of this machine.
#![allow(missing_docs)]

use std::process::ExitCode;
use std::time::Instant;

use ordermill_tests::Failure;
use ordermill_tests::kafka::Broker;
use ordermill_tests::kubernetes::{Cluster, Node, VERSION};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let begin = Instant::now();
    let cluster = Cluster::start().await?;
    cluster.install_crds().await?;
    let broker = Broker::start().await?;
    let _node = Node::start(&cluster, "default").await?;
    let seconds = begin.elapsed().as_secs_f64();
    let kubectl = cluster.binaries().kubectl.display();
    let kubeconfig = cluster.kubeconfig();
    let kubeconfig = kubeconfig.display();
    let kafka = broker.bootstrap();
    println!(
        "Kubernetes {VERSION} and Kafka run since {seconds:.1} s; pods of the namespace default are processes here.\n\n  \
           export KUBECONFIG={kubeconfig}\n  \
           alias kubectl={kubectl}\n  \
           target/debug/ordermill-operator --namespace default --bootstrap-servers {kafka} &\n  \
           kubectl apply --recursive --filename examples\n  \
           target/debug/ordermill status --watch\n\n\
         Ctrl-C ends it and removes its data."
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
