//! What Kafka's own producer makes of a key.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::Scratch;
use crate::kafka::{Distribution, Error, finish};

const SOURCE: &str = include_str!("../../platform/kafka/Partitions.java");
const DEADLINE: Duration = Duration::from_mins(2);

/// The partition that Kafka's Java producer gives each of `keys` in a topic of so many `partitions`, in the order of the
/// keys.
///
/// # Errors
/// [`Error::Tooling`] when the little Java program fails.
pub async fn java_partitions(
    keys: &[impl AsRef<[u8]>],
    partitions: u16,
) -> Result<Vec<i32>, Error> {
    let folder = Scratch::new("partitions").map_err(Error::Files)?;
    let (source, input) = (
        folder.path().join("Partitions.java"),
        folder.path().join("keys"),
    );
    fs::write(&source, SOURCE).map_err(Error::Files)?;
    fs::write(&input, hexadecimal_lines(keys)).map_err(Error::Files)?;
    let launch = Distribution::get()
        .await?
        .java("Partitions.java")
        .arg(&source)
        .arg(partitions.to_string())
        .input(&input);
    let exit = finish(launch, DEADLINE).await?;
    let answers: Vec<i32> = exit
        .stdout
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    if answers.len() == keys.len() {
        return Ok(answers);
    }
    let output = format!(
        "{} answers to {} keys\n{}",
        answers.len(),
        keys.len(),
        exit.stdout
    );
    Err(Error::Tooling {
        tool: exit.name,
        status: exit.status,
        output,
    })
}

fn hexadecimal_lines(keys: &[impl AsRef<[u8]>]) -> String {
    let mut lines = String::new();
    for key in keys {
        for byte in key.as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(lines, "{byte:02x}");
        }
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line() {
        assert_eq!(hexadecimal_lines(&[&b"\x00\xff"[..], b""]), "00ff\n\n");
    }
}
