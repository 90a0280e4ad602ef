//! A Kubernetes control plane for people, with our definitions, until Ctrl-C.
#![allow(missing_docs)]

use std::process::ExitCode;
use std::time::Instant;

use ordermill_tests::Failure;
use ordermill_tests::kubernetes::{Cluster, VERSION};

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
    let seconds = begin.elapsed().as_secs_f64();
    let kubectl = cluster.binaries().kubectl.display();
    let kubeconfig = cluster.kubeconfig();
    let kubeconfig = kubeconfig.display();
    println!(
        "Kubernetes {VERSION} runs at {} since {seconds:.1} s, without nodes: pods stay Pending.",
        cluster.url()
    );
    println!("  kubeconfig  {kubeconfig}");
    println!("  kubectl     {kubectl}");
    println!("Try: KUBECONFIG={kubeconfig} {kubectl} apply --filename examples/wood-orders");
    println!("Ctrl-C ends it and removes its data.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
