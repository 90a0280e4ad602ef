//! The Java Development Kit.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{MissingTool, entries_of, folder_of, on_path, run};

/// The oldest Java that every part can use.
const LEAST: u32 = 21;

/// Folders that hold one installation each.
const USUAL_FOLDERS: [&str; 4] = [
    "/usr/lib/jvm",
    "/usr/java",
    "/opt/java",
    "/Library/Java/JavaVirtualMachines",
];

/// A Java Development Kit of version 21 or newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    home: PathBuf,
    version: u32,
    release: String,
}

impl Jdk {
    /// The first that fits among `JAVA_HOME`, the `java` programs on `PATH`, and the usual folders.
    ///
    /// # Errors
    /// [`MissingTool`], with all that was looked at.
    pub fn find() -> Result<Self, MissingTool> {
        first_fitting(candidates())
    }

    /// The folder that `JAVA_HOME` would name.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The feature release, for instance 21.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The exact release, for instance `21.0.9+10-LTS`.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The launcher.
    #[must_use]
    pub fn java(&self) -> PathBuf {
        self.home.join("bin/java")
    }
}

/// A launcher, and where it was found.
struct Candidate {
    place: String,
    java: PathBuf,
}

fn candidates() -> impl Iterator<Item = Candidate> {
    let given = folder_of("JAVA_HOME").map(|home| Candidate {
        place: format!("JAVA_HOME={}", home.display()),
        java: home.join("bin/java"),
    });
    let found = on_path("java").map(|java| Candidate {
        place: format!("{} on PATH", java.display()),
        java,
    });
    let sdkman = folder_of("HOME").map(|home| home.join(".sdkman/candidates/java"));
    let installed = USUAL_FOLDERS
        .map(PathBuf::from)
        .into_iter()
        .chain(sdkman)
        .flat_map(|folder| entries_of(&folder))
        .flat_map(|home| [home.join("bin/java"), home.join("Contents/Home/bin/java")])
        .filter(|java| java.is_file())
        .map(|java| Candidate {
            place: java.display().to_string(),
            java,
        });
    given.into_iter().chain(found).chain(installed)
}

fn first_fitting(candidates: impl Iterator<Item = Candidate>) -> Result<Jdk, MissingTool> {
    let mut looked = Vec::new();
    for Candidate { place, java } in candidates {
        let found = match examine(&java) {
            Ok(jdk) if jdk.version < LEAST => format!("Java {}", jdk.version),
            Ok(jdk) if !jdk.home.join("bin/javac").is_file() => {
                format!("Java {} without a compiler", jdk.version)
            }
            Ok(jdk) => return Ok(jdk),
            Err(reason) => reason,
        };
        looked.push(format!("{place} ({found})"));
    }
    if looked.is_empty() {
        looked.push(format!("JAVA_HOME, PATH, {}", USUAL_FOLDERS.join(", ")));
    }
    Err(MissingTool {
        need: format!("a JDK {LEAST} or newer, for Apache Kafka"),
        looked,
        remedy: "Install one (Debian: openjdk-21-jdk-headless; others: Eclipse Temurin) or set JAVA_HOME to one.",
    })
}

/// Asks the launcher itself: a folder's name or a link says little about what is in it.
fn examine(java: &Path) -> Result<Jdk, String> {
    let output = run(Command::new(java).args(["-XshowSettings:properties", "-version"]))
        .map_err(|error| error.to_string())?;
    let settings = String::from_utf8_lossy(&output.stderr);
    settings_of(&settings).ok_or_else(|| "it does not tell its version".to_owned())
}

/// Reads the lines `java.home = …`, `java.specification.version = …` and `java.runtime.version = …`.
fn settings_of(text: &str) -> Option<Jdk> {
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(" = ")?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    // Java 8 calls itself 1.8.
    let version = value("java.specification.version")?;
    let version = version
        .strip_prefix("1.")
        .unwrap_or(&version)
        .parse()
        .ok()?;
    Some(Jdk {
        home: value("java.home")?.into(),
        version,
        release: value("java.runtime.version")?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn reads_old_and_new_versions() {
        let of = |version: &str| {
            settings_of(&format!(
                "Property settings:\n    java.home = /opt/jdk\n    java.specification.version = {version}\n    \
                 java.runtime.version = {version}.0.9+10\n"
            ))
        };
        assert_eq!(
            of("21"),
            Some(Jdk {
                home: "/opt/jdk".into(),
                version: 21,
                release: "21.0.9+10".to_owned(),
            })
        );
        assert_eq!(
            of("1.8"),
            Some(Jdk {
                home: "/opt/jdk".into(),
                version: 8,
                release: "1.8.0.9+10".to_owned(),
            })
        );
        assert_eq!(settings_of("openjdk version \"21\""), None);
    }

    /// An installation that tells `version`, with or without a compiler.
    fn installation(folder: &Path, version: u32, compiler: bool) -> Candidate {
        let home = folder.join(format!("jdk-{version}-{compiler}"));
        std::fs::create_dir_all(home.join("bin")).unwrap();
        let java = home.join("bin/java");
        let script = format!(
            "#!/bin/sh\necho '    java.home = {}' >&2\necho '    java.specification.version = {version}' >&2\necho '    java.runtime.version = {version}.0.1+2' >&2\n",
            home.display()
        );
        std::fs::write(&java, script).unwrap();
        std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
        if compiler {
            std::fs::write(home.join("bin/javac"), "").unwrap();
        }
        Candidate {
            place: format!("place {version}"),
            java,
        }
    }

    #[test]
    fn takes_the_first_that_is_new_enough_and_has_a_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let found = [(17, true), (21, false), (23, true), (25, true)]
            .map(|(version, compiler)| installation(folder.path(), version, compiler));
        assert_eq!(first_fitting(found.into_iter()).unwrap().version(), 23);
    }

    #[test]
    fn tells_why_none_fits() {
        let folder = tempfile::tempdir().unwrap();
        let found = [
            installation(folder.path(), 17, true),
            installation(folder.path(), 21, false),
            Candidate {
                place: "JAVA_HOME=/nowhere".to_owned(),
                java: "/nowhere/bin/java".into(),
            },
        ];
        let missing = first_fitting(found.into_iter()).unwrap_err();
        assert_eq!(
            missing.looked[..2],
            [
                "place 17 (Java 17)",
                "place 21 (Java 21 without a compiler)"
            ]
        );
        assert!(missing.looked[2].contains("cannot be started"), "{missing}");
    }
}
