//! Takes out what may be a credential. What is not sure to be none goes.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What stands in the place of a credential.
pub(super) const REDACTED: &str = "[redacted]";

/// Holds the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Parts of names that credentials go by, without anything but letters and digits.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "jaas",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "authorization",
    "keypem",
    "keystorekey",
    "cookie",
];

/// Names like those above that tell where a credential is and not what it is.
const HARMLESS: [&str; 8] = [
    "passwordkey",
    "privatekeykey",
    "secretname",
    "persistentvolumeclaimsecret",
    "serviceaccounttoken",
    "automountserviceaccounttoken",
    "tokenexpirationseconds",
    "credentialname",
];

/// Replaces credentials, and counts them.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    pub(super) replaced: usize,
}

impl Redactor {
    /// An object as the API server gave it, without who wrote which field.
    pub(super) fn object(&mut self, mut object: Value) -> Value {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                annotations.remove(LAST_APPLIED);
            }
        }
        self.value(&mut object);
        object
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                // A variable of a container.
                let is_credential = map
                    .get("name")
                    .and_then(Value::as_str)
                    .is_some_and(is_credential);
                if is_credential && let Some(value) = map.get_mut("value") {
                    self.replace(value);
                }
                for (name, value) in map.iter_mut() {
                    if self::is_credential(name) && holds_text(value) {
                        self.replace(value);
                    } else {
                        self.value(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::String(text) => *text = self.field(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn replace(&mut self, value: &mut Value) {
        if value.as_str() != Some(REDACTED) {
            self.replaced += 1;
        }
        *value = Value::from(REDACTED);
    }

    /// A text of an object, which may be a document itself, as in a `ConfigMap`.
    fn field(&mut self, text: &str) -> String {
        if text.starts_with(['{', '['])
            && let Ok(mut document) = serde_json::from_str::<Value>(text)
        {
            self.value(&mut document);
            return serde_json::to_string_pretty(&document).unwrap_or_else(|_| REDACTED.to_owned());
        }
        self.text(text)
    }

    /// Any text, such as a log.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (pattern, replacement) in PATTERNS.iter() {
            let found = pattern
                .find_iter(&text)
                .filter(|it| !it.as_str().contains(REDACTED))
                .count();
            if found > 0 {
                self.replaced += found;
                text = pattern.replace_all(&text, *replacement).into_owned();
            }
        }
        text
    }
}

fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        _ => false,
    }
}

fn is_credential(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let name = letters.collect::<String>().to_ascii_lowercase();
    !HARMLESS.contains(&name.as_str()) && NAMES.iter().any(|part| name.contains(part))
}

/// Credentials within texts, and what they become.
static PATTERNS: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "constants, which a test compiles")]
    let pattern = |text| Regex::new(text).expect("a pattern");
    [
        (
            pattern(
                r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
            ),
            REDACTED,
        ),
        (
            pattern(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@"),
            "${1}:[redacted]@",
        ),
        (
            pattern(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"),
            "${1} [redacted]",
        ),
        (
            pattern(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
            REDACTED,
        ),
        (
            pattern(
                r#"(?i)((?:password|passwd|passphrase|secret|token|jaas\.config|credential|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*\\?["']?\s*[=:]\s*)(?:\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s,;&"'}\]]+)"#,
            ),
            "${1}[redacted]",
        ),
    ]
});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> String {
        Redactor::default().text(text)
    }

    #[test]
    fn credentials_in_texts_go_and_the_rest_stays() {
        for (before, after) in [
            (
                "postgres://order:hunter2@db:5432/order",
                "postgres://order:[redacted]@db:5432/order",
            ),
            (
                "sasl.password=hunter2 linger.ms=5",
                "sasl.password=[redacted] linger.ms=5",
            ),
            (
                r#"{"password": "hun ter2", "a": 1}"#,
                r#"{"password": [redacted], "a": 1}"#,
            ),
            (
                r#"{\"password\":\"hunter2\"}"#,
                r#"{\"password\":[redacted]}"#,
            ),
            ("password=\"hunter2\";", "password=[redacted];"),
            (
                "Authorization: Bearer abcdefgh12345",
                "Authorization: Bearer [redacted]",
            ),
            ("token eyJhbGciOi.eyJzdWIi.c2ln", "token [redacted]"),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
                "a [redacted] b",
            ),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"),
        ] {
            assert_eq!(text(before), after);
        }
        for plain in [
            "Secret miller-user is missing",
            "https://kafka:9092/a@b",
            "key=CUST-0600 topic=orders",
            "2 tokens left",
        ] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn what_has_no_metadata_gets_none() {
        let value = json!({"a": 1});
        assert_eq!(Redactor::default().object(value.clone()), value);
    }

    #[test]
    fn objects_keep_what_is_no_credential() {
        let object = json!({
            "metadata": {
                "managedFields": [{"manager": "kubectl"}],
                "annotations": {LAST_APPLIED: "hunter2", "example.com/api-key": "hunter2", "note": "plain"},
            },
            "spec": {
                "kafka": {
                    "sasl": {"secret": {"name": "login", "passwordKey": "password"}},
                    "properties": {"linger.ms": "5", "sasl.jaas.config": "hunter2"},
                },
                "containers": [{"env": [
                    {"name": "DB_PASSWORD", "value": "hunter2"},
                    {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                ], "args": ["--token=hunter2", "--plain"]}],
                "automountServiceAccountToken": false,
                "imagePullSecrets": [{"name": "registry"}],
            },
            "data": {"workload.json": "{\"password\":\"hunter2\",\"model\":\"WoodOrder\"}", "file": "a=b\npassword: hunter2\n"},
        });
        let mut redactor = Redactor::default();
        let redacted = redactor.object(object);
        let text = redacted.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(redactor.replaced, 6, "{text}");
        assert_eq!(
            redacted["metadata"],
            json!({"annotations": {"example.com/api-key": REDACTED, "note": "plain"}})
        );
        assert_eq!(
            redacted["spec"]["kafka"]["sasl"]["secret"],
            json!({"name": "login", "passwordKey": "password"})
        );
        assert_eq!(redacted["spec"]["kafka"]["properties"]["linger.ms"], "5");
        assert_eq!(redacted["spec"]["imagePullSecrets"][0]["name"], "registry");
        assert_eq!(
            redacted["spec"]["containers"][0]["env"][1]["valueFrom"]["secretKeyRef"]["name"],
            "db"
        );
        assert!(
            redacted["data"]["workload.json"]
                .as_str()
                .unwrap()
                .contains("WoodOrder")
        );
    }
}
