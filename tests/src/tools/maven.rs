//! Maven, which fetches what is published for Java.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CommandError, Jdk, MissingTool, folder_of, on_path, run};

/// The Maven launcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maven {
    program: PathBuf,
}

impl Maven {
    /// `mvn` on `PATH`, in `MAVEN_HOME`, or in the usual folders.
    ///
    /// # Errors
    /// [`MissingTool`].
    pub fn find() -> Result<Self, MissingTool> {
        let homes = folder_of("MAVEN_HOME")
            .into_iter()
            .chain(["/usr/share/maven", "/opt/maven"].map(PathBuf::from))
            .map(|home| home.join("bin/mvn"))
            .filter(|program| program.is_file());
        on_path("mvn")
            .chain(homes)
            .next()
            .map(|program| Self { program })
            .ok_or_else(|| MissingTool {
                need: "Maven (mvn), to fetch Apache Kafka".to_owned(),
                looked: vec!["PATH, MAVEN_HOME, /usr/share/maven, /opt/maven".to_owned()],
                remedy: "Install it (Debian: maven) or put its bin folder on PATH.",
            })
    }

    /// The launcher's path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A quiet run without questions on `pom`, by `jdk`; the goals are the caller's to add.
    #[must_use]
    pub fn command(&self, jdk: &Jdk, pom: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("JAVA_HOME", jdk.home())
            .args(["-B", "-q", "-f"])
            .arg(pom);
        command
    }

    /// Copies the jars that `pom` names into `folder`, which is made. Blocks.
    ///
    /// # Errors
    /// [`CommandError`], with what Maven wrote.
    pub fn copy_dependencies(
        &self,
        jdk: &Jdk,
        pom: &Path,
        folder: &Path,
    ) -> Result<(), CommandError> {
        let mut target = OsString::from("-DoutputDirectory=");
        target.push(folder);
        let mut copy = self.command(jdk, pom);
        copy.arg("dependency:copy-dependencies").arg(target);
        run(&mut copy).map(drop)
    }
}
