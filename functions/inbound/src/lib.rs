//! Lambda: carrier payload in, carrier reply out.
