//! The collector's binary, from Go modules.

use std::path::Path;

use tokio::sync::OnceCell;

use super::Error;
use crate::go_program::{Built, GoProgram};
use crate::once::once;
use crate::tools::Go;

/// The release of the OpenTelemetry Collector.
pub const VERSION: &str = "0.115.0";

const PROGRAM: GoProgram = GoProgram {
    name: "otelcol",
    version: VERSION,
    work: "building it from Go modules, about a minute and a half",
    files: &[
        ("go.mod", include_str!("../../platform/collector/go.mod")),
        ("go.sum", include_str!("../../platform/collector/go.sum")),
        ("main.go", include_str!("../../platform/collector/main.go")),
    ],
    package: ".",
};

/// The collector as a program.
#[derive(Debug, Clone)]
pub struct Binary(Built);

impl Binary {
    /// Builds the program unless the cache has it. Blocks for as long as that takes: one to two minutes the first time.
    ///
    /// # Errors
    /// [`Error::Build`].
    pub fn prepare() -> Result<Self, Error> {
        Ok(Self(PROGRAM.prepare()?))
    }

    /// Like [`prepare`](Self::prepare), once per process and without blocking the caller's runtime.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub async fn get() -> Result<&'static Self, Error> {
        static PREPARED: OnceCell<Binary> = OnceCell::const_new();
        once(&PREPARED, Self::prepare, Error::Cancelled).await
    }

    /// The toolchain that a build would use.
    ///
    /// # Errors
    /// [`Error::Tool`].
    pub fn toolchain() -> Result<Go, Error> {
        Ok(PROGRAM.toolchain()?)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether it was built by this very call.
    #[must_use]
    pub const fn was_built(&self) -> bool {
        self.0.now
    }
}
