//! What was asked of the API server, by whom.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::Error;

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The name that the client gives itself.
    pub user_agent: String,
    /// Who asked: the one that rights are checked of.
    pub user: String,
    /// The API group; empty for the core.
    pub group: String,
    /// Plural name of the resource; empty for what is no resource, such as `/readyz`.
    pub resource: String,
    /// `status`, `scale` and the like, or empty.
    pub subresource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The object's name, or empty.
    pub name: String,
    /// Path and query.
    pub uri: String,
    /// The status of the answer.
    pub code: u16,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    #[serde(rename = "auditID")]
    audit_id: String,
    verb: String,
    user_agent: String,
    user: User,
    impersonated_user: Option<User>,
    object_ref: ObjectReference,
    #[serde(rename = "requestURI")]
    uri: String,
    response_status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectReference {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Line> for AuditEvent {
    fn from(line: Line) -> Self {
        Self {
            verb: line.verb,
            user_agent: line.user_agent,
            user: line.impersonated_user.unwrap_or(line.user).username,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            uri: line.uri,
            code: line.response_status.code,
        }
    }
}

pub(super) fn read(log: &Path) -> Result<Vec<AuditEvent>, Error> {
    match fs::read_to_string(log) {
        Ok(text) => parse(&text).map_err(Error::Json),
        // Nobody has asked anything yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::Files(error)),
    }
}

/// One event a request: a watch is told of when it begins and again when it ends.
fn parse(log: &str) -> Result<Vec<AuditEvent>, serde_json::Error> {
    let mut events: Vec<AuditEvent> = Vec::new();
    let mut places = HashMap::new();
    // A line without its end is still being written.
    for line in log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let line: Line = serde_json::from_str(line)?;
        let place = *places.entry(line.audit_id.clone()).or_insert(events.len());
        match events.get_mut(place) {
            Some(event) => *event = line.into(),
            None => events.push(line.into()),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_event() {
        let log = concat!(
            r#"{"auditID":"1","stage":"ResponseStarted","verb":"watch","userAgent":"ordermill/0.1","user":{"username":"admin"},"impersonatedUser":{"username":"alice"},"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"requestURI":"/api/v1/namespaces/shop/pods?watch=1","responseStatus":{"metadata":{},"code":200}}"#,
            "\n",
            r#"{"auditID":"2","stage":"ResponseComplete","verb":"get","user":{"username":"admin"},"requestURI":"/readyz","responseStatus":{"code":500}}"#,
            "\n",
            r#"{"auditID":"1","stage":"ResponseComplete","verb":"watch","userAgent":"ordermill/0.1","user":{"username":"admin"},"impersonatedUser":{"username":"alice"},"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"requestURI":"/api/v1/namespaces/shop/pods?watch=1","responseStatus":{"metadata":{},"code":200}}"#,
            "\n",
            r#"{"auditID":"3","stage"#,
        );
        let events = parse(log).unwrap();
        let [watch, probe] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(
            (watch.verb.as_str(), watch.resource.as_str()),
            ("watch", "pods")
        );
        assert_eq!(
            (watch.user.as_str(), watch.user_agent.as_str()),
            ("alice", "ordermill/0.1")
        );
        assert_eq!((probe.resource.as_str(), probe.code), ("", 500));
    }
}
