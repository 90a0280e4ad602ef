//! The text of `server.properties`.

use std::fmt::Write as _;
use std::path::Path;

use super::clients::Mechanism;

/// Where in its folder a broker's log is.
pub(super) const DATA: &str = "data";

/// A listener of the broker; all but the first are there only when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// No encryption, nobody is asked who they are: the principal is ANONYMOUS.
    Plaintext,
    /// Passwords without encryption.
    Sasl,
    /// Encryption, and client certificates are required.
    Tls,
    /// Encryption and passwords.
    SaslTls,
    /// Of the controller; never for clients.
    Controller,
}

impl Listener {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Sasl => "SASL",
            Self::Tls => "TLS",
            Self::SaslTls => "SASLTLS",
            Self::Controller => "CONTROLLER",
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext | Self::Controller => "PLAINTEXT",
            Self::Sasl => "SASL_PLAINTEXT",
            Self::Tls => "SSL",
            Self::SaslTls => "SASL_SSL",
        }
    }
}

/// A user that logs in with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
}

/// All that the text depends on.
#[derive(Debug)]
pub(super) struct Properties<'a> {
    /// With their ports; [`Listener::Plaintext`] and [`Listener::Controller`] are among them.
    pub(super) listeners: &'a [(Listener, u16)],
    pub(super) users: &'a [User],
    pub(super) authorizer: bool,
    /// Holds the data, and the PEM files when there is TLS.
    pub(super) folder: &'a Path,
    /// What a test sets beyond; later lines win over earlier ones.
    pub(super) extra: &'a [(String, String)],
}

/// Of a broker's files, those with certificates.
pub(super) const KEY_STORE: &str = "server.pem";
pub(super) const TRUST_STORE: &str = "clients.pem";

/// What a broker alone on a machine needs to start and answer quickly.
pub(crate) const ALONE: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
";

/// The controller must notice soon that a killed broker is gone: until then it refuses the one that returns.
pub(crate) const QUICK_RETURN: &str = "\
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
";

impl Properties<'_> {
    pub(super) fn render(&self) -> String {
        let mut text = format!("{ALONE}{QUICK_RETURN}");
        let mut set = |key: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={}", escape(value));
        };
        set("log.dirs", &self.folder.join(DATA).to_string_lossy());
        let address =
            |(listener, port): &(Listener, u16)| format!("{}://127.0.0.1:{port}", listener.name());
        let clients = || {
            self.listeners
                .iter()
                .filter(|(of, _)| *of != Listener::Controller)
        };
        set("listeners", &join(self.listeners.iter().map(address)));
        set("advertised.listeners", &join(clients().map(address)));
        let protocols = self
            .listeners
            .iter()
            .map(|(of, _)| format!("{}:{}", of.name(), of.protocol()));
        set("listener.security.protocol.map", &join(protocols));
        for (_, port) in self
            .listeners
            .iter()
            .filter(|(of, _)| *of == Listener::Controller)
        {
            set("controller.quorum.voters", &format!("1@127.0.0.1:{port}"));
        }
        for (listener, _) in self.listeners {
            match listener {
                Listener::Plaintext | Listener::Controller => {}
                Listener::Sasl => self.render_passwords("listener.name.sasl", &mut set),
                Listener::SaslTls => self.render_passwords("listener.name.sasltls", &mut set),
                Listener::Tls => set("listener.name.tls.ssl.client.auth", "required"),
            }
        }
        if self.listeners.iter().any(|(of, _)| *of == Listener::Tls) {
            self.render_certificates(&mut set);
        }
        if self.authorizer {
            set(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            );
            // Who comes through the plain listener is the test itself, and the controller.
            set("super.users", "User:ANONYMOUS");
            set("allow.everyone.if.no.acl.found", "false");
        }
        for (key, value) in self.extra {
            set(key, value);
        }
        text
    }

    fn render_passwords(&self, listener: &str, set: &mut impl FnMut(&str, &str)) {
        let mechanisms = Mechanism::ALL.map(Mechanism::name);
        set(
            &format!("{listener}.sasl.enabled.mechanisms"),
            &mechanisms.join(","),
        );
        for mechanism in Mechanism::ALL {
            let module = match mechanism {
                Mechanism::Plain => {
                    let users = self.users.iter().fold(String::new(), |mut users, user| {
                        let _ = write!(users, " user_{}=\"{}\"", user.name, user.password);
                        users
                    });
                    format!(
                        "org.apache.kafka.common.security.plain.PlainLoginModule required{users};"
                    )
                }
                Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned()
                }
            };
            let name = mechanism.name().to_lowercase();
            set(&format!("{listener}.{name}.sasl.jaas.config"), &module);
        }
    }

    fn render_certificates(&self, set: &mut impl FnMut(&str, &str)) {
        for (store, file) in [("keystore", KEY_STORE), ("truststore", TRUST_STORE)] {
            set(&format!("ssl.{store}.type"), "PEM");
            set(
                &format!("ssl.{store}.location"),
                &self.folder.join(file).to_string_lossy(),
            );
        }
        // Without a rule the principal is the whole distinguished name.
        set(
            "ssl.principal.mapping.rules",
            "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        );
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// In a file of Java properties a backslash begins an escape.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(listeners: &[(Listener, u16)], users: &[User]) -> String {
        let folder = Path::new("/data");
        Properties {
            listeners,
            users,
            authorizer: true,
            folder,
            extra: &[],
        }
        .render()
    }

    fn value<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
        text.lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .collect()
    }

    #[test]
    fn the_controller_is_advertised_to_nobody() {
        let text = render(&[(Listener::Plaintext, 1), (Listener::Controller, 2)], &[]);
        assert_eq!(
            value(&text, "listeners"),
            ["PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"]
        );
        assert_eq!(
            value(&text, "advertised.listeners"),
            ["PLAINTEXT://127.0.0.1:1"]
        );
        assert_eq!(value(&text, "controller.quorum.voters"), ["1@127.0.0.1:2"]);
        assert!(!text.contains("ssl.") && !text.contains("sasl."), "{text}");
    }

    #[test]
    fn every_user_may_log_in_on_both_password_listeners() {
        let user = |name: &str| User {
            name: name.to_owned(),
            password: "a\\b".to_owned(),
        };
        let text = render(
            &[(Listener::Sasl, 1), (Listener::SaslTls, 2)],
            &[user("alice"), user("bob")],
        );
        for listener in ["sasl", "sasltls"] {
            let key = format!("listener.name.{listener}.plain.sasl.jaas.config");
            let [module] = value(&text, &key)[..] else {
                panic!("{key} stands not once in {text}")
            };
            assert!(
                module.contains(r#"user_alice="a\\b" user_bob="a\\b";"#),
                "{module}"
            );
        }
    }

    #[test]
    fn client_certificates_are_required_on_the_tls_listener_alone() {
        let text = render(&[(Listener::Tls, 1), (Listener::SaslTls, 2)], &[]);
        assert_eq!(
            value(&text, "listener.name.tls.ssl.client.auth"),
            ["required"]
        );
        assert_eq!(value(&text, "ssl.keystore.location"), ["/data/server.pem"]);
        assert_eq!(value(&text, "ssl.client.auth"), [""; 0]);
    }
}
