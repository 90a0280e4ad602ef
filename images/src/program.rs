//! What images there are.

/// A program that has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The operator.
    Operator,
    /// What runs in the pods that the operator makes.
    Workload,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Workload];

    /// The name of the program, of its image and of its package.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "ordermill-operator",
            Self::Workload => "ordermill-workload",
        }
    }

    /// The label `org.opencontainers.image.title`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Operator => "Ordermill operator",
            Self::Workload => "Ordermill workload",
        }
    }

    /// The label `org.opencontainers.image.description`.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Operator => {
                "Turns Ordermill's resources into workloads and keeps them as declared"
            }
            Self::Workload => "Sends the events that a resource of Ordermill declares to Kafka",
        }
    }
}

/// A processor that images are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

/// Images are built on the machine that they are for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "static programs are built on Linux on x86_64 or aarch64, not on {os} on {processor}: use the Dockerfile"
)]
pub struct UnknownArchitecture {
    os: String,
    processor: String,
}

impl Architecture {
    /// Of this machine.
    ///
    /// # Errors
    /// [`UnknownArchitecture`].
    pub fn of_this_machine() -> Result<Self, UnknownArchitecture> {
        Self::of(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn of(os: &str, processor: &str) -> Result<Self, UnknownArchitecture> {
        match (os, processor) {
            ("linux", "x86_64") => Ok(Self::Amd64),
            ("linux", "aarch64") => Ok(Self::Arm64),
            _ => Err(UnknownArchitecture {
                os: os.to_owned(),
                processor: processor.to_owned(),
            }),
        }
    }

    /// As images say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As rustc says it. With glibc, linked into the program: it finds the names of Services as other pods do.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_sent_to_the_dockerfile() {
        assert_eq!(
            Architecture::of("linux", "aarch64"),
            Ok(Architecture::Arm64)
        );
        let error = Architecture::of("macos", "aarch64").unwrap_err();
        assert_eq!(
            error.to_string(),
            "static programs are built on Linux on x86_64 or aarch64, not on macos on aarch64: use the Dockerfile"
        );
    }
}
