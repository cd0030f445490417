//! What every use case needs.

use carriers::Senders;
use routing::{
    AccountSid, Address, AddressConfigurationSid, CarrierMessageSid, ChangeId,
    ConversationServiceSid, ConversationSid, Fresh, MessagingServiceSid, NumberSid, ParticipantSid,
    WebhookSid,
};
use store::Store;

use crate::{Caller, Clock, Config};

/// The table, the way out, the clock, and the account.
#[derive(Clone, Debug)]
pub struct App {
    pub store: Store,
    pub caller: Caller,
    pub clock: Clock,
    pub account: AccountSid,
    pub public_url: PublicUrl,
    pub senders: Senders,
}

/// What our own paths begin with, of this version and of those to come.
pub(crate) const OUR_FIRST_SEGMENTS: [&str; 10] = [
    "2010-04-01",
    "console",
    "crosspoint",
    "healthz",
    "inbound",
    "messaging",
    "openapi.json",
    "simulator",
    "v1",
    "v3",
];

/// The address that carriers sign and that links point to: scheme, host and port, and perhaps a path; no `/` at the
/// end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// `None`: the text is not an absolute http or https URL, or it has a user, a query or a fragment.
    pub fn parse(text: &str) -> Option<PublicUrl> {
        let url = routing::WebhookUrl::parse(text).ok()?;
        let plain = !url.as_str().contains(['?', '#', '@']);
        plain.then(|| PublicUrl(text.trim_end_matches('/').to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, without a `/` at its end; empty if the URL has none. A custom domain with a mapping key has one.
    pub fn path(&self) -> &str {
        let authority = self.0.find("://").map_or(0, |at| at + "://".len());
        let path = self.0[authority..].find('/');
        path.map_or("", |at| &self.0[authority + at..])
    }

    /// Whether the path begins like a path of ours. The path of the public URL is taken off each request, so a request at
    /// the API's own address would then lose a part of its own path.
    pub(crate) fn hides_our_paths(&self) -> bool {
        let first = self.path().split('/').nth(1).unwrap_or_default();
        OUR_FIRST_SEGMENTS.contains(&first)
    }
}

impl App {
    /// With the system's clock.
    pub fn new(store: Store, config: &Config) -> App {
        let caller = Caller::new(config.token.as_str(), config.call_allow.clone());
        App {
            store,
            caller,
            clock: Clock::default(),
            account: config.account,
            public_url: config.public_url.clone(),
            senders: config.senders(),
        }
    }

    /// The time and ids of one request.
    pub(crate) fn fresh(&self) -> Fresh {
        Fresh {
            now: self.clock.now(),
            change: ChangeId::from_bytes(random()),
            closing: ChangeId::from_bytes(random()),
            conversation: ConversationSid::from_bytes(self.sortable()),
            participant: ParticipantSid::from_bytes(self.sortable()),
            webhook: WebhookSid::from_bytes(self.sortable()),
        }
    }

    /// A SID for a message to which its carrier gave none.
    pub fn carrier_message_sid(&self) -> CarrierMessageSid {
        CarrierMessageSid::from_bytes(false, random())
    }

    pub(crate) fn conversation_service_sid(&self) -> ConversationServiceSid {
        ConversationServiceSid::from_bytes(self.sortable())
    }

    pub(crate) fn messaging_service_sid(&self) -> MessagingServiceSid {
        MessagingServiceSid::from_bytes(self.sortable())
    }

    /// `None` for an address that cannot receive.
    pub(crate) fn number_sid(&self, address: &Address) -> Option<NumberSid> {
        NumberSid::of(address, random())
    }

    /// `None` for an address that cannot receive.
    pub(crate) fn address_configuration_sid(
        &self,
        address: &Address,
    ) -> Option<AddressConfigurationSid> {
        AddressConfigurationSid::of(address, random())
    }

    /// Six bytes of time and ten of randomness: the order of SIDs is the order of creation.
    fn sortable(&self) -> [u8; 16] {
        let mut bytes: [u8; 16] = random();
        let ms = self.clock.now().as_millisecond().max(0).to_be_bytes();
        bytes[..6].copy_from_slice(&ms[2..]);
        bytes
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_no_slash_at_its_end_and_perhaps_a_path() {
        for (text, kept, path) in [
            ("https://example.com", "https://example.com", ""),
            ("https://example.com/", "https://example.com", ""),
            ("http://127.0.0.1:9010//", "http://127.0.0.1:9010", ""),
            ("https://example.com/a", "https://example.com/a", "/a"),
            (
                "https://example.com/a/b//",
                "https://example.com/a/b",
                "/a/b",
            ),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.path()), (kept, path), "{text}");
        }
        for bad in [
            "example.com",
            "https://example.com/?a",
            "https://u:p@example.com",
            "https://example.com/#a",
            "ftp://a",
        ] {
            assert_eq!(PublicUrl::parse(bad), None, "{bad}");
        }
    }
}
