//! Lambda: doorbell, hand-off and clock in; webhooks, outbound messages and timers out.
//!
//! Nothing leaves by itself yet: the logs that this function is to read are written, and wait.
