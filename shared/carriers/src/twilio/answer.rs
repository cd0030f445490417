//! What Twilio hears of a message that we took.

/// TwiML that sends no reply. (Twilio reports a 200 with a body that is not XML as error 12300.)
pub const NO_REPLY: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#;

pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";
