//! How a log line tells an error.

use std::error::Error;
use std::fmt;

/// An error and its sources, as one text: `failed to read a list: DynamoDB refuses: service error: …`.
///
/// Every log line tells an error so. Lambda's JSON formatter prints of an error value its own text alone.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
