//! The error type of tests, which shows its causes.

use std::error::Error;
use std::fmt;

/// What a test returns, so that `?` works on any error and a failure reads as sentences.
pub type TestResult<T = ()> = Result<T, Failure>;

/// Any error, shown with its chain of causes: the test runner prints errors by [`fmt::Debug`], which is made for readers
/// here.
pub struct Failure(Box<dyn Error + Send + Sync>);

// `Failure` is no `Error` itself: that is what lets this cover every error type.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, "\n  because: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the broker did not start")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn shows_every_cause() {
        let failure = Failure::from(Outer(std::io::Error::other("the port is taken")));
        assert_eq!(
            format!("{failure:?}"),
            "the broker did not start\n  because: the port is taken"
        );
    }
}
