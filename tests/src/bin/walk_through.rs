//! Runs the commands of a page on the cluster for end-to-end tests, and puts what they print under them.
//!
//! The page is Markdown: in its blocks of `console`, each line that begins with `$ ` is a command for bash in the repository's
//! folder, and what follows up to the next one is replaced by its output. The first command that fails ends the run, and the
//! page stays as it was.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io};

use ordermill_tests::helm::Helm;
use ordermill_tests::kind::{Broker, Cluster, Kind};
use ordermill_tests::process::Program;
use ordermill_tests::{Failure, Scratch, kubernetes};

const USAGE: &str = "usage: walk_through PAGE";
/// Where the page's Kafka is.
const KAFKA: &str = "kafka";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(page) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match record(&page).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn record(page: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(page)?;
    let cluster = Cluster::find(&Cluster::name_of_tests()).await?;
    let broker = Broker::start(&cluster, &cluster.namespace_named(KAFKA).await?).await?;
    println!("Kafka serves at {}", broker.inside());
    let shell = Shell::new(&cluster).await?;
    let recorded = rewrite(&text, |command| shell.run(command))?;
    fs::write(page, recorded)?;
    Ok(())
}

/// A page with what `run` gives for each command in place of what stood there.
fn rewrite<E>(page: &str, mut run: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut written = String::new();
    let mut in_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_console = line == "```console";
        }
        let command = line.strip_prefix("$ ").filter(|_| in_console);
        if !in_console || line.starts_with("```") || command.is_some() {
            written.push_str(line);
            written.push('\n');
        }
        if let Some(command) = command {
            let output = run(command)?;
            written.push_str(&output);
            if !output.is_empty() && !output.ends_with('\n') {
                written.push('\n');
            }
        }
    }
    Ok(written)
}

/// Where commands find what they name.
struct Shell {
    checkout: PathBuf,
    tools: Scratch,
    kubeconfig: PathBuf,
}

impl Shell {
    async fn new(cluster: &Cluster) -> Result<Self, Failure> {
        let tools = Scratch::new("walk-through")?;
        for (name, program) in [
            (
                "kubectl",
                kubernetes::Binaries::get().await?.kubectl.clone(),
            ),
            ("helm", Helm::get().await?.path().to_owned()),
            ("kind", Kind::prepare()?.program()),
            ("ordermill", Program::path("ordermill").await?),
        ] {
            std::os::unix::fs::symlink(program, tools.path().join(name))?;
        }
        Ok(Self {
            checkout: Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .canonicalize()?,
            tools,
            kubeconfig: cluster.kubeconfig(),
        })
    }

    /// What a command prints, on either stream.
    fn run(&self, command: &str) -> Result<String, Failure> {
        println!("$ {command}");
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [PathBuf::from(self.tools.path())];
        let (mut reader, writer) = io::pipe()?;
        let mut bash = Command::new("bash")
            .args(["-c", command])
            .current_dir(&self.checkout)
            .env(
                "PATH",
                env::join_paths(folders.into_iter().chain(env::split_paths(&path)))?,
            )
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_DATA_HOME", self.tools.path())
            .env("HELM_CONFIG_HOME", self.tools.path())
            .env("HELM_CACHE_HOME", self.tools.path())
            // What compiling prints is of no interest here.
            .env("CARGO_TERM_QUIET", "true")
            // The images of Ordermill that the tests run are there already.
            .env("IMAGES", "--profile quick")
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let output = io::read_to_string(&mut reader)?;
        let status = bash.wait()?;
        print!("{output}");
        if !status.success() {
            return Err(format!("{command}: {status}").into());
        }
        // As in a checkout whose target folder is where it usually is.
        let checkout = self.checkout.display();
        let target = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let output = output.replace(&format!("{checkout}/"), "");
        Ok(output.replace(&format!("{target}/"), "target/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_replaced_and_all_else_stays() {
        let page = "# A page\n\n$ no command\n\n```console\n$ one\nold\nolder\n$ two\n```\n\n```sh\nold\n```\n";
        let mut commands = Vec::new();
        let written = rewrite(page, |command| {
            commands.push(command.to_owned());
            Ok::<_, ()>(if command == "one" {
                "new\n".to_owned()
            } else {
                String::new()
            })
        });
        assert_eq!(commands, ["one", "two"]);
        assert_eq!(
            written,
            Ok("# A page\n\n$ no command\n\n```console\n$ one\nnew\n$ two\n```\n\n```sh\nold\n```\n".to_owned())
        );
        assert_eq!(rewrite(page, |_| Err::<String, _>("failed")), Err("failed"));
    }
}
