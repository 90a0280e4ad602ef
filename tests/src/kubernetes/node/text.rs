//! What a pod's texts say of its own file system and network, said of this machine's.

use std::collections::BTreeMap;

/// Replaces every path of `mounts` in `text` by where it is here.
///
/// A path counts where it stands alone or goes on with a slash: `/etc/ordermill` is not in `/etc/ordermill-old`.
pub(super) fn with_paths(text: &str, mounts: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        let found = mounts
            .iter()
            .rev()
            .find(|(path, _)| !goes_on(before) && begins_with(rest, path));
        if let Some((path, here)) = found {
            result.push_str(here);
            rest = &rest[path.len()..];
            before = path.chars().last();
        } else {
            result.push(next);
            rest = &rest[next.len_utf8()..];
            before = Some(next);
        }
    }
    result
}

/// Whether `text` begins with the whole of `path`, and not with a longer name.
fn begins_with(text: &str, path: &str) -> bool {
    text.strip_prefix(path)
        .is_some_and(|rest| !goes_on(rest.chars().next()))
}

/// Whether a name of a file goes on with this character.
fn goes_on(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_alphanumeric() || "-_.".contains(character))
}

/// Replaces `$(NAME)` by the variable of that name, and `$$` by a dollar sign, as Kubernetes does in arguments and values. An
/// unknown name stays as it is.
pub(super) fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        result.push_str(before);
        let reference = from
            .strip_prefix("$(")
            .and_then(|inner| inner.split_once(')'));
        if let Some((name, after)) = reference {
            match variables.get(name) {
                Some(value) => result.push_str(value),
                None => result.push_str(&from[..name.len() + 3]),
            }
            rest = after;
        } else {
            result.push('$');
            rest = from.strip_prefix("$$").unwrap_or(&from[1..]);
        }
    }
    result + rest
}

/// Lets what listens on all addresses listen on the pod's own, so that many pods find the same port free.
pub(super) fn with_address(text: &str, address: &str) -> String {
    text.replace("0.0.0.0", address).replace("[::]", address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn paths_are_replaced_wherever_they_stand_alone() {
        let mounts = map(&[
            ("/etc/ordermill", "/tmp/x"),
            ("/etc/ordermill/tls", "/tmp/y"),
        ]);
        for (text, expected) in [
            ("/etc/ordermill", "/tmp/x"),
            ("--config=/etc/ordermill/a", "--config=/tmp/x/a"),
            ("/etc/ordermill/tls/ca.crt", "/tmp/y/ca.crt"),
            ("/etc/ordermill-old", "/etc/ordermill-old"),
            ("/srv/etc/ordermill", "/srv/etc/ordermill"),
            (r#"{"a":"/etc/ordermill/tls"}"#, r#"{"a":"/tmp/y"}"#),
        ] {
            assert_eq!(with_paths(text, &mounts), expected, "{text}");
        }
    }

    #[test]
    fn variables_are_expanded_as_kubernetes_does() {
        let variables = map(&[("POD_IP", "127.0.0.2")]);
        for (text, expected) in [
            ("$(POD_IP):8080", "127.0.0.2:8080"),
            ("$(OTHER)", "$(OTHER)"),
            ("$$(POD_IP)", "$(POD_IP)"),
            ("costs 5$", "costs 5$"),
            ("$(POD_IP", "$(POD_IP"),
        ] {
            assert_eq!(expanded(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn all_addresses_become_one() {
        assert_eq!(with_address("0.0.0.0:8080", "127.0.0.2"), "127.0.0.2:8080");
        assert_eq!(
            with_address("--admin=[::]:80", "127.0.0.2"),
            "--admin=127.0.0.2:80"
        );
    }
}
