//! One folder a carrier: parse, verify, sign.
