//! The way out: every HTTP call to another party's server goes through [`HttpClient`].
//!
//! A webhook's URL comes from a user, and its host resolves to what the owner of that name wants. Without a check, such
//! a URL reaches what only this function can reach: its own process, the network that it is attached to, the cloud's
//! metadata service. So the client connects to outside addresses alone, unless [`Allowed`] permits the address.
//!
//! The client checks the address that it connects to:
//!
//! - A name is resolved once for each connection. The addresses that pass the check are those that it connects to.
//! - A host that is an address is never resolved, so the client checks it before it sends.
//! - Redirects are not followed, and no proxy is used: a proxy would connect to an address that no code here sees.
//!
//! The cast: [`HttpClient`] sends a [`HttpRequest`] and gives a [`HttpReply`] or a [`SendError`]; [`ErrorChain`] is how a
//! log line tells such an error, or any other; `inside` holds the table of inside
//! networks. No other crate of the deployed functions depends on an HTTP client, except the SDK's for AWS.

mod client;
mod error_chain;
mod inside;

pub use client::{HttpClient, HttpReply, HttpRequest, SendError};
pub use error_chain::ErrorChain;
pub use inside::{Allowed, AllowedError, InsideAddress};
