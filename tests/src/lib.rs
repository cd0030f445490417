//! What the system tests stand on: engines, a system in one process, servers of other people, and the wire to DynamoDB
//! with its faults and its bill.

pub mod budget;
pub mod engine;
pub mod figures;
pub mod receiver;
pub mod system;
pub mod wire;
