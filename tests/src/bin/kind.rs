//! A cluster by kind for the end-to-end tests: made, filled with images, deleted.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use ordermill_tests::Failure;
use ordermill_tests::helm::Helm;
use ordermill_tests::kind::{
    Cluster, Engine, Kind, NodeImage, Settings, kafka_image, postgres_image,
};

const USAGE: &str = "usage: kind build | up [ARCHIVE…] | down
  build  makes the images of node, broker and database, kind and Helm
  up     makes the cluster, and loads the images of broker and database and the archives into it
  down   deletes the cluster
KIND_CLUSTER names it (ordermill-tests); KIND_NODE_IMAGE=official pulls kind's own node image.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let archives = arguments.map(PathBuf::from).collect();
    let begin = Instant::now();
    let outcome = match command.as_str() {
        "build" => build(),
        "up" => up(archives).await,
        "down" => Cluster::delete(&Cluster::name_of_tests()).map_err(Failure::from),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => {
            println!("kind {command}: {:.1} s", begin.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Which image the user wants for the node.
fn node_image() -> Result<NodeImage, Failure> {
    match std::env::var("KIND_NODE_IMAGE").as_deref() {
        Err(_) | Ok("" | "ours") => Ok(NodeImage::Ours),
        Ok("official") => Ok(NodeImage::Official),
        Ok(other) => {
            Err(format!("KIND_NODE_IMAGE is {other:?}; it may be ours or official").into())
        }
    }
}

fn build() -> Result<(), Failure> {
    let engine = Engine::find()?;
    println!("node image  {}", node_image()?.prepare(&engine)?);
    println!("broker      {}", kafka_image(&engine)?);
    println!("database    {}", postgres_image(&engine)?);
    // The cluster and its tests need these besides; built now, they are there when nothing can be fetched any more.
    let kind = Kind::prepare()?;
    let helm = Helm::prepare()?;
    println!("kind        {}", kind.program().display());
    println!("Helm        {}", helm.path().display());
    Ok(())
}

async fn up(archives: Vec<PathBuf>) -> Result<(), Failure> {
    let engine = Engine::find()?;
    let settings = Settings {
        name: Cluster::name_of_tests(),
        node: node_image()?,
        images: vec![kafka_image(&engine)?, postgres_image(&engine)?],
        archives,
    };
    let cluster = Cluster::up(&settings).await?;
    println!("the cluster {} is ready", cluster.name());
    Ok(())
}
