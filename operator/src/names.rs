//! Names of what belongs to a resource: within Kubernetes' limits for any resource name, and never the same for two.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A pod's name becomes its host name, of at most 63 characters; a Deployment adds up to 17 to it and a Job with 13 digits
/// of its work more than that.
const LONGEST: usize = 40;
/// Digits of a hash: 40 bits, where a collision also needs the same beginning and the same namespace.
const HASH_DIGITS: usize = 10;

/// The name that every child of a resource has, or begins with: a DNS label of at most 40 characters.
///
/// `<resource>-<component>` where that is possible. A resource name that is too long or has dots becomes
/// `<beginning>-<component>-<hash>`: its last part is a hash and never a component's name, so no two are alike.
#[must_use]
pub fn child_name(resource: &str, component: &str) -> String {
    let plain = format!("{resource}-{component}");
    let is_label =
        !resource.contains('.') && resource.starts_with(|c: char| c.is_ascii_lowercase());
    if is_label && plain.len() <= LONGEST {
        return plain;
    }
    let hash = short_hash(resource);
    let room = LONGEST.saturating_sub(component.len() + HASH_DIGITS + 2);
    let beginning: String = resource
        .chars()
        .map(|c| if c == '.' { '-' } else { c })
        .take(room.saturating_sub(1))
        .collect();
    // A Service's name begins with a letter.
    let letter = if beginning.starts_with(|c: char| c.is_ascii_lowercase()) {
        ""
    } else {
        "x"
    };
    let beginning = beginning.trim_end_matches('-');
    format!("{letter}{beginning}-{component}-{hash}")
}

/// The name of the `KafkaTopic` of a topic: the topic's own where Kubernetes takes it.
#[must_use]
pub fn topic_object_name(topic: &str) -> String {
    if topic.parse::<ordermill_crds::values::ObjectName>().is_ok() {
        return topic.to_owned();
    }
    let sanitized: String = topic
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(200)
        .collect();
    format!(
        "topic-{}-{}",
        sanitized.trim_matches('-'),
        short_hash(topic)
    )
}

/// The first 40 bits of SHA-256 in hexadecimal digits.
#[must_use]
pub fn short_hash(text: &str) -> String {
    let mut digits = hash(text.as_bytes());
    digits.truncate(HASH_DIGITS);
    digits
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut digits, byte| {
        // Writing into a String cannot fail.
        _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPONENTS: [&str; 4] = ["producer", "consumer", "worker", "backend"];

    fn is_label(name: &str) -> bool {
        name.len() <= LONGEST
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }

    fn resource_name() -> impl Strategy<Value = String> {
        let label = "[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?";
        proptest::collection::vec(label, 1..4).prop_map(|labels| labels.join("."))
    }

    proptest! {
        #[test]
        fn every_name_is_a_label(resource in resource_name()) {
            for component in COMPONENTS {
                let name = child_name(&resource, component);
                prop_assert!(is_label(&name), "{}", name);
            }
        }

        #[test]
        fn different_resources_have_different_names(one in resource_name(), other in resource_name()) {
            for component in COMPONENTS {
                prop_assert_eq!(one == other, child_name(&one, component) == child_name(&other, component));
            }
            prop_assert_ne!(child_name(&one, "producer"), child_name(&one, "backend"));
        }
    }

    #[test]
    fn plain_names_stay_readable_and_a_lookalike_is_another() {
        assert_eq!(child_name("orders", "producer"), "orders-producer");
        let long = child_name(&"a".repeat(60), "producer");
        assert_eq!(long.len(), LONGEST - 1);
        assert_ne!(
            child_name(long.trim_end_matches("-producer"), "producer"),
            long
        );
        assert_eq!(
            child_name("a.b", "worker"),
            format!("a-b-worker-{}", short_hash("a.b"))
        );
        assert_ne!(child_name("a.b", "worker"), child_name("a-b", "worker"));
        assert!(child_name("0", "backend").starts_with("x0-backend-"));
    }

    #[test]
    fn a_topic_keeps_its_name_where_kubernetes_takes_it() {
        assert_eq!(topic_object_name("order.placed"), "order.placed");
        let made = topic_object_name("Order_Placed");
        assert_eq!(
            made,
            format!("topic-order-placed-{}", short_hash("Order_Placed"))
        );
        assert_ne!(made, topic_object_name("order_placed"));
    }
}
