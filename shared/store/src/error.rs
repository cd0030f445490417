//! What can go wrong between us and the table.

/// The cause, as the SDK tells it.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The deadline passed, and nothing was written. The source tells what took the time: the table throttles, the answer
    /// to a read did not come, or the deadline had passed before the request.
    #[error("failed to {operation} in time")]
    Unavailable {
        operation: &'static str,
        source: Source,
    },
    /// The request may have written, or not.
    #[error("failed to {operation}: the result is unknown")]
    Unknown {
        operation: &'static str,
        source: Source,
    },
    /// DynamoDB refuses the same request each time: the table is missing, or the request is wrong.
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
            // A missing table may come back. The caller sends the request again, not the store.
            StoreError::Refused { .. } => true,
            StoreError::Corrupt { .. } | StoreError::PageToken => false,
        }
    }
}
