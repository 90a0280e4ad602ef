//! The ends of the logs of pods.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, LogParams};

use super::bundle::Bundle;
use crate::cluster::{Cluster, words};

/// The API server reads a log to this size; a line may have 16 KiB.
const READ: i64 = 8 * 1024 * 1024;
/// Of each log so much is kept, the newest.
const KEPT: usize = 1024 * 1024;
/// Of all logs together.
const ALL: usize = 64 * 1024 * 1024;
/// Logs that are read at once: each may hold [`READ`] bytes.
const CONCURRENT: usize = 4;

/// One log of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Log {
    namespace: String,
    pod: String,
    container: String,
    /// Of the process before this one.
    previous: bool,
}

/// Adds the last `lines` of every log.
pub(super) async fn logs(
    cluster: &Cluster,
    pods: &[DynamicObject],
    lines: i64,
    bundle: &mut Bundle,
) {
    if lines == 0 {
        bundle.cut.push("Logs, as --log-lines 0 asks.".to_owned());
        return;
    }
    bundle.cut.push(format!(
        "All but the last {lines} lines of each log, of at most {} KiB.",
        KEPT / 1024
    ));
    let all: Vec<_> = pods.iter().flat_map(of_pod).collect();
    let reads = all
        .iter()
        .map(|log| async move { (log, read(cluster, log, lines).await) });
    let mut reads = stream::iter(reads).buffered(CONCURRENT);
    let mut room = ALL;
    let mut done = 0;
    while let Some((log, text)) = reads.next().await {
        done += 1;
        match text {
            Ok(text) => {
                let text = end_of(&text, KEPT);
                room = room.saturating_sub(text.len());
                bundle.text(log.path(), text);
            }
            Err(why) => bundle.unread.push(format!("{}: {why}", log.words())),
        }
        if room == 0 {
            let left = all.len() - done;
            bundle.cut.push(format!(
                "{left} more logs: there are {} MiB of others.",
                ALL >> 20
            ));
            return;
        }
    }
}

impl Log {
    fn path(&self) -> String {
        let Self {
            namespace,
            pod,
            container,
            previous,
        } = self;
        let before = if *previous { ".previous" } else { "" };
        format!("namespaces/{namespace}/logs/{pod}/{container}{before}.log")
    }

    fn words(&self) -> String {
        let before = if self.previous {
            " before its restart"
        } else {
            ""
        };
        format!(
            "the log of {}/{}{before}, container {}",
            self.namespace, self.pod, self.container
        )
    }
}

fn of_pod(object: &DynamicObject) -> Vec<Log> {
    let Ok(pod) = object.clone().try_parse::<Pod>() else {
        return Vec::new();
    };
    let statuses = pod.status.as_ref();
    let restarts = |name: &str| {
        let mut statuses = statuses
            .iter()
            .flat_map(|it| it.container_statuses.iter().flatten());
        statuses.any(|it| it.name == name && it.restart_count > 0)
    };
    let spec = pod.spec.as_ref();
    let inits = spec
        .into_iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    let containers = spec.into_iter().flat_map(|spec| &spec.containers);
    let mut logs = Vec::new();
    for container in inits.chain(containers) {
        let log = Log {
            namespace: pod.namespace().unwrap_or_default(),
            pod: pod.name_any(),
            container: container.name.clone(),
            previous: false,
        };
        if restarts(&container.name) {
            logs.push(Log {
                previous: true,
                ..log.clone()
            });
        }
        logs.push(log);
    }
    logs
}

async fn read(cluster: &Cluster, log: &Log, lines: i64) -> Result<String, String> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &log.namespace);
    let parameters = LogParams {
        container: Some(log.container.clone()),
        previous: log.previous,
        tail_lines: Some(lines),
        limit_bytes: Some(READ),
        ..LogParams::default()
    };
    let text = api.logs(&log.pod, &parameters).await;
    text.map_err(|error| words(&error))
}

/// The end of a text, from the beginning of a line.
fn end_of(text: &str, most: usize) -> &str {
    let Some(mut from) = text.len().checked_sub(most) else {
        return text;
    };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = &text[from..];
    if from == 0 {
        return end;
    }
    end.split_once('\n').map_or(end, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_begins_with_a_line() {
        assert_eq!(end_of("one\ntwo\nthree\n", 100), "one\ntwo\nthree\n");
        assert_eq!(end_of("one\ntwo\nthree\n", 8), "three\n");
        assert_eq!(end_of("äöü", 3), "ü");
    }

    #[test]
    fn a_restarted_container_has_two_logs() {
        let pod: DynamicObject = serde_yaml::from_str(
            "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}, spec: {containers: [{name: workload}]}, \
              status: {containerStatuses: [{name: workload, restartCount: 1, image: i, imageID: i, ready: true}]}}",
        )
        .unwrap();
        let paths: Vec<_> = of_pod(&pod).iter().map(Log::path).collect();
        assert_eq!(
            paths,
            [
                "namespaces/n/logs/a/workload.previous.log",
                "namespaces/n/logs/a/workload.log"
            ]
        );
    }
}
