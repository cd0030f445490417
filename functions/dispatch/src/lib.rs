//! Lambda: doorbell, hand-off and clock in; webhooks, outbound messages, timers out.
