//! Images of the servers that workloads use: a broker and a database.

use std::process::Command;

use super::images::Context;
use super::{Engine, Error, Rootfs};
use crate::cache::Recipe;
use crate::kafka::{self, Distribution};
use crate::postgres;
use crate::tools;

const KAFKA: &str = include_str!("../../platform/kafka/Dockerfile");
const POSTGRES: &str = include_str!("../../platform/postgres/Dockerfile");

/// What a broker uses of Java.
const JAVA_MODULES: &str = "java.base,java.desktop,java.logging,java.management,java.management.rmi,java.naming,java.security.jgss,\
                            java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.security.auth,jdk.unsupported";

/// The image of an Apache Kafka broker: a system, a Java runtime of what Kafka uses, and Kafka's jars.
///
/// # Errors
/// [`Error`], when a part cannot be made.
pub fn kafka_image(engine: &Engine) -> Result<String, Error> {
    let rootfs = Rootfs::prepare()?;
    let kafka = Distribution::prepare()?;
    let java = format!("{} {JAVA_MODULES}", kafka.jdk().version());
    let jars = kafka
        .jars()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let parts = [rootfs.identity(), java, jars.into_owned()].join(" ");
    let recipe = Recipe {
        name: "kafka",
        version: kafka::VERSION,
        work: "building the image of a broker, about half a minute",
        files: &[("Dockerfile", KAFKA), ("parts", &parts)],
    };
    engine.image(&recipe, |name| {
        let context = Context::new(&[("Dockerfile", KAFKA)])?;
        context.add(&rootfs.archive(), "rootfs.tar")?;
        context.add_folder(kafka.jars(), "jars")?;
        let mut link = Command::new(kafka.jdk().home().join("bin/jlink"));
        link.args(["--strip-debug", "--no-header-files", "--no-man-pages"])
            .args(["--add-modules", JAVA_MODULES, "--output"])
            .arg(context.path().join("java"));
        tools::run(&mut link).map_err(Error::command("linking a Java runtime"))?;
        engine.build(context.path(), &[], name)
    })
}

/// The image of PostgreSQL: a system and its programs.
///
/// # Errors
/// [`Error`], when a part cannot be made.
pub fn postgres_image(engine: &Engine) -> Result<String, Error> {
    let rootfs = Rootfs::prepare()?;
    let programs = postgres::Distribution::prepare()?;
    let folder = programs.folder().file_name().unwrap_or_default();
    let parts = [rootfs.identity(), folder.to_string_lossy().into_owned()].join(" ");
    let recipe = Recipe {
        name: "postgres",
        version: postgres::VERSION,
        work: "building the image of a database, some seconds",
        files: &[("Dockerfile", POSTGRES), ("parts", &parts)],
    };
    engine.image(&recipe, |name| {
        let context = Context::new(&[("Dockerfile", POSTGRES)])?;
        context.add(&rootfs.archive(), "rootfs.tar")?;
        context.add_folder(programs.folder(), "programs")?;
        engine.build(context.path(), &[], name)
    })
}
