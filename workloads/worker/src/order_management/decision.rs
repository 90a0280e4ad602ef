//! What becomes of an order that was claimed: a function of what is known of its wood.
//!
//! An order is processed only where its wood was taken, and failed only where none was and none will be. Neither needs a
//! clock or a call that goes well: the wood is taken under the order's id as the key, so that a second decrease has no
//! effect, and before an order becomes failed its decrease is cancelled, which refuses what an earlier attempt may have
//! under way.

use std::fmt;

use serde::Serialize;

/// A claim of an order, and what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// How often the order was claimed, this claim included.
    pub attempt: u32,
    /// How many attempts may follow the first.
    pub max_retries: u32,
}

/// What is known of the decrease of an order's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decreased {
    /// The wood is taken, now or by an earlier attempt.
    Taken,
    /// There is too little; an earlier request may still be under way.
    Refused,
    /// Nobody was asked.
    NotAsked,
    /// It may have been taken: the call failed.
    Unknown,
}

/// What is known of a decrease that was to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// No wood was taken, and none will be.
    InTime,
    /// The wood was taken before.
    TooLate,
    /// It may have been either: the call failed.
    Unknown,
}

/// What a claimed order may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It waits for another attempt.
    Registered,
    /// Its wood was taken.
    Processed,
    /// Its wood was not taken.
    Failed,
}

impl Status {
    /// The name in the order API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The decrease is cancelled; what the order becomes depends on that.
    Cancel,
    /// The order becomes this.
    Become(Status),
}

impl Claim {
    /// What follows from the decrease.
    pub(crate) const fn after_decrease(self, decreased: Decreased) -> Next {
        match decreased {
            Decreased::Taken => Next::Become(Status::Processed),
            Decreased::Refused | Decreased::NotAsked | Decreased::Unknown
                if self.may_be_repeated() =>
            {
                Next::Become(Status::Registered)
            }
            // There is nothing that could be under way.
            Decreased::NotAsked if self.is_first() => Next::Become(Status::Failed),
            // Whether the wood was taken is what the cancelling is answered with.
            Decreased::Refused | Decreased::NotAsked | Decreased::Unknown => Next::Cancel,
        }
    }

    const fn may_be_repeated(self) -> bool {
        self.attempt <= self.max_retries
    }

    const fn is_first(self) -> bool {
        self.attempt <= 1
    }
}

impl Cancelled {
    /// What follows from it.
    pub(crate) const fn becomes(self) -> Status {
        match self {
            Self::InTime => Status::Failed,
            Self::TooLate => Status::Processed,
            Self::Unknown => Status::Registered,
        }
    }
}

#[cfg(test)]
mod tests;
