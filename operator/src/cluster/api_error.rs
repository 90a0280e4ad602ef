//! Failures of requests to the API server, as people read them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A request that failed. Its text is what the API server said, without the whole answer that `kube` adds.
#[derive(Debug)]
pub struct ApiError(Box<kube::Error>);

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

impl ApiError {
    /// The status of the answer, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// Whether the namespace is being deleted.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        let mut causes = details.into_iter().flat_map(|details| &details.causes);
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// How long the API server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.status()?.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
    }

    fn status(&self) -> Option<&kube::core::Status> {
        match self.0.as_ref() {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status() {
            Some(status) if status.message.is_empty() => {
                write!(formatter, "{} {}", status.code, status.reason)
            }
            Some(status) => formatter.write_str(&status.message),
            None => self.0.fmt(formatter),
        }
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.status() {
            Some(_) => None,
            None => self.0.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use ordermill_config::full_error;

    use super::*;

    #[test]
    fn an_answer_is_told_once_and_short() {
        let told = |status: Status| full_error(&ApiError::from(kube::Error::Api(Box::new(status))));
        let refusal = Status::failure("pods \"a\" is forbidden", "Forbidden").with_code(403);
        assert_eq!(told(refusal), "pods \"a\" is forbidden");
        let silent = Status::failure("", "InternalError").with_code(500);
        assert_eq!(told(silent), "500 InternalError");
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let late = ApiError::from(kube::Error::Service(Box::new(late)));
        assert_eq!(full_error(&late), "ServiceError: timed out");
    }
}
