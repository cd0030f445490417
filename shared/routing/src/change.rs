//! REST changes: each is a decision from the facts and the wish.
//!
//! Every change that routing, webhooks or readers depend on takes a slot of its conversation's log, as a message does.
//! The edge has checked the wish: texts are within their limits, addresses have their grammar.
//!
//! The first row that fits decides on a change of an existing conversation:
//!
//! | facts | decision |
//! |---|---|
//! | the last plan met another conversation's claim ([`facts::Obstacle`]) | refuse; but if that conversation is past its closing time, close it |
//! | there is no such conversation in the request's service, or it was deleted | refuse: not found |
//! | the conversation is past its closing time (deletion apart) | close it |
//! | the conversation is closed, or being assembled (deletion apart) | refuse |
//! | – | the change's own rules: each function tells them |

pub mod conversation;
pub mod facts;
pub mod message;
pub mod participant;
