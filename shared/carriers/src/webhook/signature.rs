//! `X-Twilio-Signature`: proves who sent a request. Twilio signs the requests that we receive, and we sign those that we
//! send.
//!
//! The rules are Twilio's (`docs/usage/webhooks/webhooks-security`), the port rule is its libraries'. A signature covers
//! neither the time nor the method: the message's SID tells a repetition from a new message.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::form::BytePair;

/// The query parameter that carries the hash of a body that is not a form.
const BODY_HASH: &str = "bodySHA256";

/// The signature of a form post to `url`; credentials and fragment of the URL are not signed.
pub fn sign<'a>(
    token: &str,
    url: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let parameters = parameters.into_iter();
    sign_bytes(
        token,
        url,
        parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    )
}

/// As [`sign`], for parameters that may not be text.
pub(crate) fn sign_bytes<'a>(
    token: &str,
    url: &str,
    parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> String {
    // Names sorted bytewise, the distinct values of a repeated name sorted too.
    let mut sorted: BTreeMap<&[u8], BTreeSet<&[u8]>> = BTreeMap::new();
    for (name, value) in parameters {
        sorted.entry(name).or_default().insert(value);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes())
        .expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(signed_part(url).as_bytes());
    for (name, values) in sorted {
        for value in values {
            mac.update(name);
            mac.update(value);
        }
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The signature of a GET: its parameters are in the URL already.
pub fn sign_url(token: &str, url: &str) -> String {
    sign(token, url, [])
}

/// For a body that is not a form: the URL to post it to, which names the body's hash, and the request's signature.
pub fn sign_body(token: &str, url: &str, body: &[u8]) -> (String, String) {
    let (head, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let joint = if head.contains('?') { '&' } else { '?' };
    let url = format!("{head}{joint}{BODY_HASH}={}{fragment}", hash(body));
    let signature = sign_url(token, &url);
    (url, signature)
}

/// Whether `signature` is that of a form post (or, without parameters, of a GET) to `url`. The URL may name its port or
/// leave it out, whichever of the two was signed. An empty token verifies nothing: it was never set.
pub(crate) fn verify(token: &str, url: &str, parameters: &[BytePair], signature: &str) -> bool {
    let url = signed_part(url);
    let matches = [with_port(&url), without_port(&url)]
        .iter()
        .map(|url| {
            let parameters = parameters.iter();
            sign_bytes(
                token,
                url,
                parameters.map(|(name, value)| (&**name, &**value)),
            )
        })
        .fold(Choice::from(0), |matches, expected| {
            matches | expected.as_bytes().ct_eq(signature.as_bytes())
        });
    bool::from(matches) && !token.is_empty()
}

/// As [`verify`], for a body that is not a form: the URL that was called names its hash.
pub(crate) fn verify_body(token: &str, url: &str, body: &[u8], signature: &str) -> bool {
    let expected = hash(body);
    let query = url.split('#').next().and_then(|url| url.split_once('?'));
    let mut named = query
        .into_iter()
        .flat_map(|(_, query)| form_urlencoded::parse(query.as_bytes()))
        .filter(|(name, _)| name == BODY_HASH)
        .map(|(_, value)| bool::from(value.as_bytes().ct_eq(expected.as_bytes())))
        .peekable();
    named.peek().is_some() && named.all(|matches| matches) && verify(token, url, &[], signature)
}

fn hash(body: &[u8]) -> String {
    Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The URL without `user:password@` and `#fragment`, otherwise as it is written.
fn signed_part(url: &str) -> String {
    let (scheme, authority, rest) = split(url.split('#').next().unwrap_or(url));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}{host}{rest}")
}

/// Scheme with its `://`, authority, and everything after it.
fn split(url: &str) -> (&str, &str, &str) {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(start);
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (scheme, authority, rest)
}

/// Where the port begins in `host` or `host:port`; colons within the brackets of IPv6 begin none.
fn port_at(authority: &str) -> Option<usize> {
    authority
        .rfind(':')
        .filter(|at| !authority[*at..].contains(']'))
}

fn with_port(url: &str) -> String {
    let (scheme, authority, rest) = split(url);
    if port_at(authority).is_some() {
        return url.to_owned();
    }
    let port = if scheme.eq_ignore_ascii_case("http://") {
        80
    } else {
        443
    };
    format!("{scheme}{authority}:{port}{rest}")
}

fn without_port(url: &str) -> String {
    let (scheme, authority, rest) = split(url);
    let host = &authority[..port_at(authority).unwrap_or(authority.len())];
    format!("{scheme}{host}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Form;
    use crate::form::byte_pairs;

    const TOKEN: &str = "12345";
    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const CALL: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn published_vectors() {
        let ours = format!(
            "AccountSid=AC{}&Body=hi+there&ConversationSid=CH{}&EventType=onMessageAdded&MessagingBinding.Address=%2B15550001111",
            "a".repeat(32),
            "b".repeat(32),
        );
        for (url, body, signature) in [
            (URL, CALL, SIGNATURE),
            (
                "https://mycompany.com:443/myapp.php?foo=1&bar=2",
                CALL,
                "kvajT1Ptam85bY51eRf/AJRuM3w=",
            ),
            (
                "http://mycompany.com:80/myapp.php?foo=1&bar=2",
                CALL,
                "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            ),
            (
                "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
                CALL,
                "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
            ),
            (
                URL,
                "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (
                "https://example.com/hook?a=1",
                &ours,
                "dTV4vOHM4zpOSD6aOyU1CFU8yqw=",
            ),
        ] {
            assert_eq!(sign(TOKEN, url, form(body).iter()), signature, "{url}");
            assert!(
                verify(TOKEN, url, &byte_pairs(body.as_bytes()), signature),
                "{url}"
            );
        }
    }

    #[test]
    fn the_published_vector_of_a_json_body() {
        let body = br#"{"property": "value", "boolean": true}"#;
        let url = format!(
            "{URL}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
        );
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
        assert_eq!(
            sign_body(TOKEN, URL, body),
            (url.clone(), signature.to_owned())
        );
        assert!(verify_body(TOKEN, &url, body, signature));

        assert!(!verify_body(TOKEN, &url, b"{}", signature), "another body");
        assert!(!verify_body("1234", &url, body, signature), "another token");
        let unhashed = sign_url(TOKEN, URL);
        assert!(
            !verify_body(TOKEN, URL, body, &unhashed),
            "no hash in the URL"
        );
        let (twice, signature) = sign_body(TOKEN, &url, b"{}");
        assert!(
            !verify_body(TOKEN, &twice, b"{}", &signature),
            "two hashes that differ"
        );
    }

    #[test]
    fn a_json_url_keeps_its_fragment_behind_the_query() {
        let (url, signature) = sign_body(TOKEN, "https://a/b#rc=2", b"{}");
        assert!(url.starts_with("https://a/b?bodySHA256="), "{url}");
        assert!(url.ends_with("#rc=2"), "{url}");
        assert!(verify_body(TOKEN, &url, b"{}", &signature));
    }

    #[test]
    fn credentials_and_fragment_are_not_signed() {
        for url in [
            "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2",
            "https://u@s@mycompany.com/myapp.php?foo=1&bar=2#rc=2&rp=all",
            "https://mycompany.com/myapp.php?foo=1&bar=2#",
        ] {
            assert_eq!(sign(TOKEN, url, form(CALL).iter()), SIGNATURE, "{url}");
        }
        assert_eq!(
            signed_part("https://a?b=c@d/e"),
            "https://a?b=c@d/e",
            "an @ of the query is no credential"
        );
    }

    #[test]
    fn the_port_may_be_named_or_left_out() {
        for (signed, received) in [
            ("https://a.com/x?y=1", "https://a.com:443/x?y=1"),
            ("https://a.com:443/x?y=1", "https://a.com/x?y=1"),
            ("http://a.com", "http://a.com:80"),
            ("http://a.com:80?y", "http://a.com?y"),
            ("https://a.com/x", "https://a.com:8443/x"),
            ("https://a.com:8443/x", "https://u:p@a.com:8443/x#f"),
            ("http://[::1]/x", "http://[::1]:80/x"),
            ("http://[::1]:80/x", "http://[::1]/x"),
        ] {
            let signature = sign_url(TOKEN, signed);
            assert!(
                verify(TOKEN, received, &[], &signature),
                "{signed} {received}"
            );
        }
        for (signed, received) in [
            ("https://a.com:8443/x", "https://a.com/x"),
            ("https://a.com:80/x", "https://a.com/x"),
            ("https://a.com/x", "http://a.com/x"),
            ("https://a.com/x", "https://b.com/x"),
            ("https://a.com/x", "https://a.com/x/"),
        ] {
            let signature = sign_url(TOKEN, signed);
            assert!(
                !verify(TOKEN, received, &[], &signature),
                "{signed} {received}"
            );
        }
    }

    #[test]
    fn a_request_that_differs_from_the_signed_one_is_refused() {
        let changed = CALL.replace("Digits=1234", "Digits=1235");
        let added = format!("{CALL}&Extra=1");
        let emptied = format!("{CALL}&Extra=");
        let dropped = CALL.replace("&Digits=1234", "");
        for (what, token, body, signature) in [
            ("another token", "12346", CALL, SIGNATURE),
            ("a changed value", TOKEN, &*changed, SIGNATURE),
            ("an added parameter", TOKEN, &added, SIGNATURE),
            ("an added empty parameter", TOKEN, &emptied, SIGNATURE),
            ("a dropped parameter", TOKEN, &dropped, SIGNATURE),
            ("no signature", TOKEN, CALL, ""),
            ("no base64", TOKEN, CALL, "not base64 at all, that's it"),
            ("other letters", TOKEN, CALL, "rsoydt4t1cutdk1pdd93/vvr8b8="),
            ("no padding", TOKEN, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8"),
            (
                "other unused bits",
                TOKEN,
                CALL,
                "RSOYDt4T1cUTdK1PDd93/VVr8B9=",
            ),
            ("a space", TOKEN, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8= "),
            (
                "two signatures",
                TOKEN,
                CALL,
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=,x",
            ),
        ] {
            assert!(
                !verify(token, URL, &byte_pairs(body.as_bytes()), signature),
                "{what}"
            );
        }
        assert!(verify(TOKEN, URL, &byte_pairs(CALL.as_bytes()), SIGNATURE));
    }

    #[test]
    fn one_bit_of_the_signature_decides() {
        let bytes = STANDARD.decode(SIGNATURE).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let signature = STANDARD.encode(bytes);
            assert!(
                !verify(TOKEN, URL, &byte_pairs(CALL.as_bytes()), &signature),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn an_empty_token_verifies_nothing() {
        let signature = sign_url("", URL);
        assert!(!verify("", URL, &[], &signature));
    }

    #[test]
    fn a_signature_verifies_for_every_text() {
        let texts = [
            "", "+", "&", "=", "%", "%41", " ", "ä", "🦀", "a\r\nb", "\0", "é", "e\u{301}",
            "\u{fffd}",
        ];
        let urls = [
            "https://a.com",
            "https://a.com/?",
            "https://a.com/ä?b=%2B&c=+",
            "http://a.com:0/",
            "a.com",
            "",
            "://",
            "@#@",
        ];
        for url in urls {
            for name in texts {
                for value in texts {
                    let form: Form = [(name, value), ("Body", value), (name, "x")]
                        .into_iter()
                        .collect();
                    let signature = sign(TOKEN, url, form.iter());
                    let sent = byte_pairs(form.encode().as_bytes());
                    assert!(
                        verify(TOKEN, url, &sent, &signature),
                        "{url} {name:?} {value:?}"
                    );
                }
            }
        }
    }
}
