//! Everything in one process: the functions' handlers, the embedded engine, and the simulator.
//!
//! What a deployed stack does with API Gateway, DynamoDB's stream and a schedule, this does on one port of loopback; the
//! handlers are the same. Nothing here is part of a deployed function.

pub mod clock;
pub mod dispatcher;
pub mod engine;
pub mod options;
pub mod simulator;
pub mod stack;
pub mod stream;
pub mod tasks;
pub mod writes;
