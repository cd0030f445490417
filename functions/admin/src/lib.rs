//! Lambda: the REST API.
