//! The container engine, by its command line.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::Error;
use crate::cache::{self, Recipe};
use crate::tools;

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct Engine(());

impl Engine {
    /// The engine that the docker command reaches, by `DOCKER_HOST` or its usual socket.
    ///
    /// # Errors
    /// [`Error::Engine`].
    pub fn find() -> Result<Self, Error> {
        let mut ask = Command::new("docker");
        ask.args(["version", "--format", "{{.Server.Version}}"]);
        tools::run(&mut ask).map_err(Error::Engine)?;
        Ok(Self(()))
    }

    /// Runs a command of the engine to its end and gives what it wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Command`], with `what` it was for.
    pub fn run(
        &self,
        what: &str,
        arguments: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Result<String, Error> {
        let mut command = Command::new("docker");
        // Its other builder is an add-on that may be missing.
        command.env("DOCKER_BUILDKIT", "0").args(arguments);
        let output = tools::run(&mut command).map_err(Error::command(what))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether an image is there.
    #[must_use]
    pub fn has_image(&self, name: &str) -> bool {
        self.run(
            "looking for an image",
            ["image", "inspect", "--format", "{{.Id}}", name],
        )
        .is_ok()
    }

    /// Builds an image from a folder, with more options of `docker build`.
    ///
    /// # Errors
    /// [`Error::Command`], with the end of what the build wrote.
    pub fn build(&self, context: &Path, options: &[&str], name: &str) -> Result<(), Error> {
        let fixed = ["build", "--quiet", "--force-rm", "--tag", name];
        let arguments = fixed.iter().chain(options).map(OsStr::new);
        let arguments = arguments.chain([context.as_os_str()]);
        self.run(&format!("building the image {name}"), arguments)
            .map(drop)
    }

    /// The image of a recipe, made by `work` under the name that it is given unless it is there. Says what it does.
    ///
    /// # Errors
    /// What `work` says.
    pub(super) fn image(
        &self,
        recipe: &Recipe<'_>,
        work: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let entry = recipe.entry_name();
        let tag = entry
            .trim_start_matches(recipe.name)
            .trim_start_matches('-');
        let name = format!("ordermill.test/{}:{tag}", recipe.name);
        if self.has_image(&name) {
            return Ok(name);
        }
        let begin = Instant::now();
        cache::say(&format!("{entry}: {} …", recipe.work));
        work(&name)?;
        let seconds = begin.elapsed().as_secs_f64();
        cache::say(&format!("{name}: ready after {seconds:.1} s"));
        Ok(name)
    }
}
