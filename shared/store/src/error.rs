//! What can go wrong between us and the table.

/// The cause, as the SDK tells it.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written: the table throttles, or no answer to a read came in time.
    #[error("failed to {operation}: the table is not available")]
    Unavailable {
        operation: &'static str,
        source: Source,
    },
    /// Nobody knows whether it was written.
    #[error("failed to {operation}: the result is unknown")]
    Unknown {
        operation: &'static str,
        source: Source,
    },
    /// DynamoDB will not do it, however often it is asked: the table is missing, or the request is wrong.
    #[error("failed to {operation}: DynamoDB refuses")]
    Refused {
        operation: &'static str,
        source: Source,
    },
    /// An item is not what its key says.
    #[error("failed to make sense of item {key}: {reason}")]
    Corrupt { key: String, reason: String },
    #[error("page token is not one of ours")]
    PageToken,
}

impl StoreError {
    /// Whether the same request may do better later.
    pub fn retryable(&self) -> bool {
        match self {
            StoreError::Unavailable { .. } | StoreError::Unknown { .. } => true,
            // A missing table may come back; the request is repeated by who sent it, not here.
            StoreError::Refused { .. } => true,
            StoreError::Corrupt { .. } | StoreError::PageToken => false,
        }
    }
}
