//! Who may do what on a broker with an authorizer.

use std::time::Duration;

use super::{Broker, Error};

/// For a tool that runs for about two seconds on an idle machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// What somebody does to a [`Resource`], in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Whatever there is.
    All,
    /// Change a configuration.
    AlterConfigs,
    /// Create.
    Create,
    /// Delete.
    Delete,
    /// See that it exists.
    Describe,
    /// Read a configuration.
    DescribeConfigs,
    /// Produce with idempotence; of the cluster, and implied by [`Operation::Write`] on any topic.
    IdempotentWrite,
    /// Consume, or join and commit.
    Read,
    /// Produce.
    Write,
}

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The cluster itself.
    Cluster,
    /// A consumer group.
    Group(&'a str),
    /// A topic.
    Topic(&'a str),
    /// Every topic whose name begins so.
    TopicPrefix(&'a str),
    /// A transactional id.
    TransactionalId(&'a str),
    /// Every transactional id that begins so.
    TransactionalIdPrefix(&'a str),
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::AlterConfigs => "AlterConfigs",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
            Self::Read => "Read",
            Self::Write => "Write",
        }
    }
}

impl<'a> Resource<'a> {
    fn arguments(self) -> Vec<&'a str> {
        match self {
            Self::Cluster => vec!["--cluster"],
            Self::Group(name) => vec!["--group", name],
            Self::Topic(name) => vec!["--topic", name],
            Self::TransactionalId(name) => vec!["--transactional-id", name],
            Self::TopicPrefix(name) => {
                vec!["--topic", name, "--resource-pattern-type", "prefixed"]
            }
            Self::TransactionalIdPrefix(name) => {
                vec![
                    "--transactional-id",
                    name,
                    "--resource-pattern-type",
                    "prefixed",
                ]
            }
        }
    }
}

impl Broker {
    /// Allows `user` to do `operations` on `resource`. Without such a grant only the plain listener may do anything.
    ///
    /// # Errors
    /// [`Error::Tooling`], also when the broker has no authorizer.
    pub async fn allow(
        &self,
        user: &str,
        operations: &[Operation],
        resource: Resource<'_>,
    ) -> Result<(), Error> {
        self.change_grants("--add", user, operations, resource)
            .await
    }

    /// Takes back what [`allow`](Self::allow) gave.
    ///
    /// # Errors
    /// [`Error::Tooling`], also when the broker has no authorizer.
    pub async fn revoke(
        &self,
        user: &str,
        operations: &[Operation],
        resource: Resource<'_>,
    ) -> Result<(), Error> {
        self.change_grants("--remove", user, operations, resource)
            .await
    }

    // librdkafka's Rust client has no calls for grants; Kafka's own tool has.
    async fn change_grants(
        &self,
        change: &str,
        user: &str,
        operations: &[Operation],
        resource: Resource<'_>,
    ) -> Result<(), Error> {
        let principal = format!("User:{user}");
        let mut arguments = vec!["--bootstrap-server", self.bootstrap(), change, "--force"];
        arguments.extend(["--allow-principal", &principal]);
        arguments.extend(
            operations
                .iter()
                .flat_map(|operation| ["--operation", operation.name()]),
        );
        arguments.extend(resource.arguments());
        let tool = "org.apache.kafka.tools.AclCommand";
        self.distribution()
            .run(tool, arguments, DEADLINE)
            .await
            .map(drop)
    }
}
