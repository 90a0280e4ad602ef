//! Where a generator stands, to go on from after a kill.

use serde::{Deserialize, Serialize};

use crate::retail::RecentSales;

/// Where a [`Generator`](crate::Generator) stands.
///
/// Its JSON is compact, less than 1,400 bytes whatever happened before, since it is kept in the metadata of a Kafka offset. The
/// [`Identity`](crate::Identity) and the settings are not in it: whoever restores it has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The next tick.
    #[serde(rename = "t")]
    pub tick: u64,
    /// The next sequence number.
    #[serde(rename = "q")]
    pub sequence: u64,
    /// Food orders sent so far; of that model only.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) food_sent: Option<u64>,
    /// Sales that may be refunded; of that model only.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) recent_sales: Option<RecentSales>,
}

/// Why a generator cannot go on from a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The checkpoint is another model's.
    #[error("the checkpoint was made by another model")]
    OtherModel,
}
