//! What a kubelet says of a pod.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// How far a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its process runs, and is ready or not.
    Running { ready: bool },
    /// Its process has ended and is to be started again.
    Waiting,
    /// Its process has ended for good.
    Ended,
}

/// What is known of a pod that has an address.
#[derive(Debug, Clone)]
pub(super) struct PodState {
    pub(super) phase: Phase,
    pub(super) address: String,
    pub(super) restarts: i32,
    /// How the latest process ended: an exit code, above 128 for a signal.
    pub(super) exit_code: Option<i32>,
    pub(super) started: Timestamp,
}

impl PodState {
    /// The pod's phase by Kubernetes' name.
    fn phase_name(&self) -> &'static str {
        match (&self.phase, self.exit_code) {
            (Phase::Ended, Some(0)) => "Succeeded",
            (Phase::Ended, _) => "Failed",
            _ => "Running",
        }
    }

    /// The status, as a merge patch.
    pub(super) fn patch(&self, container: &Container, now: Timestamp) -> Value {
        let ready = self.phase == Phase::Running { ready: true };
        let truth = if ready { "True" } else { "False" };
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": seconds(now)});
        let terminated = self.exit_code.map(|code| {
            json!({"terminated": {
                "exitCode": code,
                "reason": if code == 0 { "Completed" } else { "Error" },
                "startedAt": seconds(self.started),
                "finishedAt": seconds(now),
            }})
        });
        let (state, last) = match self.phase {
            Phase::Running { .. } => (
                json!({"running": {"startedAt": seconds(self.started)}}),
                terminated,
            ),
            Phase::Waiting => (
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": "it is started again soon"}}),
                terminated,
            ),
            Phase::Ended => (terminated.unwrap_or_else(|| json!({})), None),
        };
        json!({"status": {
            "phase": self.phase_name(),
            "hostIP": "127.0.0.1",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": seconds(self.started),
            "conditions": [
                condition("PodScheduled", "True"),
                condition("Initialized", "True"),
                condition("ContainersReady", truth),
                condition("Ready", truth),
            ],
            "containerStatuses": [{
                "name": container.name,
                "image": container.image.clone().unwrap_or_default(),
                "imageID": "",
                "ready": ready,
                "started": matches!(self.phase, Phase::Running { .. }),
                "restartCount": self.restarts,
                "state": state,
                "lastState": last.unwrap_or_else(|| json!({})),
            }],
        }})
    }
}

/// The time as Kubernetes writes it.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The exit code as containers tell it: a signal's number plus 128.
pub(super) fn code_of(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| signal + 128);
    status.code().or(signal).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_shows_in_the_exit_code() {
        assert_eq!(code_of(ExitStatus::from_raw(9)), 137);
        assert_eq!(code_of(ExitStatus::from_raw(3 << 8)), 3);
    }

    fn patch(phase: Phase, exit_code: Option<i32>) -> Value {
        let state = PodState {
            phase,
            address: "127.1.2.3".to_owned(),
            restarts: 1,
            exit_code,
            started: Timestamp::UNIX_EPOCH,
        };
        state.patch(&Container::default(), Timestamp::UNIX_EPOCH)["status"].take()
    }

    #[test]
    fn a_running_pod_tells_how_it_ended_before() {
        let status = patch(Phase::Running { ready: true }, Some(137));
        let container = &status["containerStatuses"][0];
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["conditions"][3]["status"], "True");
        assert_eq!(
            container["state"]["running"]["startedAt"],
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(container["lastState"]["terminated"]["exitCode"], 137);
    }

    #[test]
    fn the_exit_code_decides_over_success() {
        for (code, phase) in [(0, "Succeeded"), (2, "Failed")] {
            let status = patch(Phase::Ended, Some(code));
            assert_eq!(status["phase"], phase);
            let terminated = &status["containerStatuses"][0]["state"]["terminated"];
            assert_eq!(terminated["exitCode"], code);
            assert_eq!(status["conditions"][3]["status"], "False");
        }
    }

    #[test]
    fn a_crashing_pod_waits() {
        let status = patch(Phase::Waiting, Some(1));
        assert_eq!(status["phase"], "Running");
        let waiting = &status["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], "CrashLoopBackOff");
    }
}
