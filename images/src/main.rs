//! Builds the images of Ordermill, or what is in them.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use ordermill_images::archive;
use ordermill_images::checkout;
use ordermill_images::compile::{self, Compiler};
use ordermill_images::files;
use ordermill_images::image::{self, Build, Image};
use ordermill_images::{Architecture, Program, UnknownArchitecture};

/// Builds Ordermill's static programs and their container images, without a container engine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Take the programs from this folder instead of building them.
    #[arg(long, value_name = "FOLDER", global = true)]
    programs: Option<PathBuf>,
    /// The profile of cargo that the programs are built with: `quick` for tests.
    #[arg(long, value_name = "NAME", global = true, default_value = "release")]
    profile: String,
    /// Where the results go.
    #[arg(
        long,
        value_name = "FOLDER",
        global = true,
        default_value = "target/images"
    )]
    output: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes an archive for each image, which container engines and clusters load.
    Archives(ArchiveArguments),
    /// Writes a folder for each image with the files that are in it.
    Roots,
}

#[derive(Debug, clap::Args)]
struct ArchiveArguments {
    /// What stands before the images' names, such as ghcr.io/somebody.
    #[arg(long, value_name = "PREFIX")]
    registry: Option<String>,
    /// Where the sources are, for a label.
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// The commit. Default: what git says.
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    /// When the images count as made, in seconds since 1970. Default: the time of the commit.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    created: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Architecture(#[from] UnknownArchitecture),
    #[error("the programs cannot be built")]
    Compile(#[from] compile::Error),
    #[error("the commit is not known")]
    Commit(#[from] checkout::Error),
    #[error("{0} is no time of an image")]
    Time(i64),
    #[error("{}", .path.display())]
    Files {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Image(#[from] image::Error),
    #[error(transparent)]
    Archive(#[from] archive::Error),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let checkout = Path::new(".");
    let architecture = Architecture::of_this_machine()?;
    let programs = if let Some(folder) = &arguments.programs {
        folder.clone()
    } else {
        let compiler = Compiler::of_environment(checkout, architecture, arguments.profile.clone())?;
        compiler.run()?;
        compiler.programs()
    };
    let binary = |program: Program| {
        let path = programs.join(program.name());
        fs::read(&path).map_err(|source| Error::Files { path, source })
    };
    let limit = image::limit_of(&arguments.profile);
    match &arguments.command {
        Command::Archives(archives) => {
            let build = build(archives, checkout, architecture, limit)?;
            for program in Program::ALL {
                let path = arguments.output.join(format!("{}.tar", program.name()));
                write_archive(
                    &image::image(program, binary(program)?, &build)?,
                    &build,
                    &path,
                )?;
            }
            print!("{WHAT_TO_DO}");
        }
        Command::Roots => {
            for program in Program::ALL {
                let files = files::files(program, binary(program)?);
                image::check_size(program, &files, limit)?;
                let path = arguments.output.join(program.name());
                files::write(&files, &path).map_err(|source| Error::Files {
                    path: path.clone(),
                    source,
                })?;
                println!("{}", path.display());
            }
        }
    }
    Ok(())
}

fn build(
    arguments: &ArchiveArguments,
    checkout: &Path,
    architecture: Architecture,
    limit: u64,
) -> Result<Build, Error> {
    let (revision, seconds) = match (&arguments.revision, arguments.created) {
        (Some(revision), Some(seconds)) => (revision.clone(), seconds),
        (revision, seconds) => {
            let commit = checkout::commit(checkout)?;
            (
                revision.clone().unwrap_or(commit.revision),
                seconds.unwrap_or(commit.seconds),
            )
        }
    };
    let created = Timestamp::from_second(seconds)
        .ok()
        .filter(|created| *created >= Timestamp::UNIX_EPOCH)
        .ok_or(Error::Time(seconds))?;
    Ok(Build {
        architecture,
        limit,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision,
        created,
        source: arguments.source.clone(),
        registry: arguments.registry.clone(),
    })
}

fn write_archive(image: &Image, build: &Build, path: &Path) -> Result<(), Error> {
    let bytes = archive::archive(image, build.epoch())?;
    archive::write(&bytes, path)?;
    println!(
        "{}: {} for {}, {:.1} MB, {:.1} MB compressed",
        path.display(),
        image.reference,
        image.architecture.name(),
        megabytes(image.layer.files_size),
        megabytes(image.layer.compressed.bytes.len() as u64),
    );
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a size of an image, in tenths of megabytes"
)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// How engines and clusters load an archive.
const WHAT_TO_DO: &str = "
Load each with one of
  docker load --input ARCHIVE
  podman load --input ARCHIVE
  kind load image-archive ARCHIVE
  k3d image import ARCHIVE
  minikube image load ARCHIVE
or have `make install` load them into the cluster of the current kubectl context and install the charts.
";
