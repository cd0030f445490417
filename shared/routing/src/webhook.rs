//! URLs that we call, and the webhooks of one conversation.

use std::fmt;

use crate::event_name::EventName;
use crate::sid::{ConversationSid, WebhookSid};

/// An absolute `http` or `https` URL with a host, in visible ASCII, of at most [`WebhookUrl::CHARACTERS_MAX`].
///
/// It may hold a user and a password. `Debug` leaves them out; `Display` is for the URL's owner.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.without_userinfo())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("URL is longer than {} characters", WebhookUrl::CHARACTERS_MAX)]
    TooLong,
    #[error("URL is not an absolute http or https URL")]
    Invalid,
}

impl WebhookUrl {
    pub const CHARACTERS_MAX: usize = 512;

    pub fn parse(text: &str) -> Result<WebhookUrl, UrlError> {
        if text.len() > WebhookUrl::CHARACTERS_MAX {
            return Err(UrlError::TooLong);
        }
        let rest = ["http://", "https://"].iter().find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme)
                .then(|| &text[scheme.len()..])
        });
        let host = rest
            .and_then(|rest| rest.split(['/', '?', '#']).next())
            .map(|authority| authority.rsplit('@').next().unwrap_or(authority));
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        match host {
            Some(host) if visible && !host.is_empty() && !host.starts_with(':') => {
                Ok(WebhookUrl(text.to_owned()))
            }
            _ => Err(UrlError::Invalid),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL without user and password: for other parties and for logs.
    pub fn without_userinfo(&self) -> String {
        let start = self.0.find("://").map_or(0, |at| at + "://".len());
        let (scheme, rest) = self.0.split_at(start);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
        format!("{scheme}{}", &rest[host..])
    }

    /// What is sent and signed: a fragment is for the caller alone.
    pub fn without_fragment(&self) -> &str {
        self.0.split('#').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    Get,
    #[default]
    Post,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }

    /// Case-insensitive, as all enumerations of the API are.
    pub fn parse(text: &str) -> Option<Method> {
        [Method::Get, Method::Post]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(text))
    }
}

/// One URL and how to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub url: WebhookUrl,
    pub method: Method,
}

/// A webhook of one conversation; post-action only, always in addition to the account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedWebhook {
    pub conversation: ConversationSid,
    pub sid: WebhookSid,
    pub version: u64,
    pub target: ScopedTarget,
    /// The first slot whose events it gets.
    pub since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopedTarget {
    Webhook { call: Call, filters: Vec<EventName> },
    Studio { flow_sid: String, retry_count: u8 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_absolute_and_http() {
        for good in [
            "https://example.com",
            "HTTP://u:p@127.0.0.1:8080/a?b=c#rc=2",
            "http://[::1]:80/",
        ] {
            assert_eq!(WebhookUrl::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "example.com",
            "/path",
            "ftp://example.com",
            "https://",
            "https:///x",
            "http://:80",
            "http://a b",
            "é",
        ] {
            assert_eq!(WebhookUrl::parse(bad), Err(UrlError::Invalid), "{bad}");
        }
        assert_eq!(
            WebhookUrl::parse(&format!("https://{}", "a".repeat(512))),
            Err(UrlError::TooLong)
        );
    }

    #[test]
    fn a_user_and_a_password_are_for_the_host_alone() {
        for (url, expected) in [
            (
                "https://u:p@example.com/a?b=c@d#e@f",
                "https://example.com/a?b=c@d#e@f",
            ),
            ("http://u@s:p@example.com:8080", "http://example.com:8080"),
            ("http://u:p@[::1]:80?a@b", "http://[::1]:80?a@b"),
            ("https://example.com/@x", "https://example.com/@x"),
        ] {
            let url = WebhookUrl::parse(url).unwrap();
            assert_eq!(url.without_userinfo(), expected);
            assert_eq!(format!("{url:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn a_fragment_is_not_sent() {
        assert_eq!(
            WebhookUrl::parse("http://a/b#rc=2&rp=all")
                .unwrap()
                .without_fragment(),
            "http://a/b"
        );
    }
}
