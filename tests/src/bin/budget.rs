//! The bill.
fn main() {}
