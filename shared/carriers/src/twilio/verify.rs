//! Whether Twilio sent a request, for the configured account.
//!
//! The signature covers the body as it came, whether or not the body can be read as a message: an authentic message that
//! can't be read is still authentic.

use http::Method;
use routing::AccountSid;

use crate::form::{BytePair, SIGNED_PAIRS_MAX, byte_pairs, segments};
use crate::webhook::signature;
use crate::{Request, RequestError};

use super::Credentials;

const HEADER: &str = "X-Twilio-Signature";

/// The account that a request is for. Checks the method, the signature over the public URL and the parameters, and the
/// account.
///
/// A body that is not a form has no parameters: Twilio then names the body's hash in the query, and the signature covers
/// the query. Such a body names no account, but no other account has the token that signed it.
pub(super) fn account(
    credentials: Option<&Credentials>,
    request: &Request<'_>,
) -> Result<AccountSid, RequestError> {
    if request.method != Method::POST {
        return Err(RequestError::Method);
    }
    let Some(Credentials { account, token }) = credentials else {
        return Err(RequestError::NoCredentials(
            "no Twilio account is configured: \
             set CROSSPOINT_TWILIO_ACCOUNT_SID and CROSSPOINT_TWILIO_AUTH_TOKEN",
        ));
    };
    let Some(signed) = request.header(HEADER) else {
        return Err(RequestError::SignatureMissing { header: HEADER });
    };
    if !request.is_form() {
        return match signature::verify_body(token, request.url, request.body, signed) {
            true => Ok(*account),
            false => Err(wrong(request, &[])),
        };
    }
    if segments(request.body).nth(SIGNED_PAIRS_MAX).is_some() {
        return Err(RequestError::TooManyPairs {
            pairs_max: SIGNED_PAIRS_MAX,
        });
    }
    let pairs = byte_pairs(request.body);
    if !signature::verify(token, request.url, &pairs, signed) {
        return Err(wrong(request, &pairs));
    }
    let named = pairs.iter().find(|(name, _)| name == b"AccountSid");
    match named {
        Some((_, value)) if *value == account.to_string().into_bytes() => Ok(*account),
        _ => Err(RequestError::OtherAccount),
    }
}

/// The sender is unknown, and so is the content of the request: the log gets no value, no query and no signature.
fn wrong(request: &Request<'_>, pairs: &[BytePair]) -> RequestError {
    let url = request.url.split('?').next().unwrap_or_default();
    let (count, names) = (pairs.len(), plain_names(pairs));
    RequestError::SignatureWrong {
        header: HEADER,
        compared: format!(
            "compared with {url} and {count} parameters ({names}); \
             is CROSSPOINT_PUBLIC_URL the address that the carrier calls?"
        ),
    }
}

/// The parameters' names that look like names: a log can bear these.
fn plain_names(pairs: &[BytePair]) -> String {
    const NAMES_MAX: usize = 40;
    const LETTERS_MAX: usize = 32;
    let plain = |name: &&[u8]| {
        name.len() <= LETTERS_MAX
            && name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(u8::is_ascii_alphanumeric)
    };
    let names = pairs.iter().map(|(name, _)| name.as_slice()).filter(plain);
    let names: Vec<_> = names.take(NAMES_MAX).map(String::from_utf8_lossy).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use jiff::Timestamp;
    use routing::CarrierMessageSid;

    use super::*;
    use crate::Form;

    const URL: &str = "https://crosspoint.example/inbound/twilio";
    const ACCOUNT: AccountSid = AccountSid::from_bytes([1; 16]);
    const FORM: &str = "application/x-www-form-urlencoded";

    fn check(
        url: &str,
        content_type: &str,
        body: &[u8],
        signature: &str,
    ) -> Result<AccountSid, RequestError> {
        let credentials = Credentials {
            account: ACCOUNT,
            token: "token".to_owned(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", content_type), (HEADER, signature)] {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let request = Request {
            method: &Method::POST,
            url,
            headers: &headers,
            body,
            received_at: Timestamp::UNIX_EPOCH,
            fresh: CarrierMessageSid::from_bytes(false, [7; 16]),
        };
        account(Some(&credentials), &request)
    }

    fn signed(body: &str) -> String {
        let form = Form::parse(body.as_bytes()).unwrap();
        signature::sign("token", URL, form.iter())
    }

    #[test]
    fn a_form_is_authentic_whether_or_not_it_can_be_read() {
        let good = format!("AccountSid={ACCOUNT}&Body=100%25");
        let signature = signed(&good);
        assert_eq!(check(URL, FORM, good.as_bytes(), &signature), Ok(ACCOUNT));
        // The `%` is not escaped: no form, but the bytes that Twilio signed.
        let broken = good.replace("%25", "%");
        assert!(Form::parse(broken.as_bytes()).is_err());
        assert_eq!(check(URL, FORM, broken.as_bytes(), &signature), Ok(ACCOUNT));

        let changed = good.replace("100", "101");
        let wrong = check(URL, FORM, changed.as_bytes(), &signature);
        assert!(matches!(wrong, Err(RequestError::SignatureWrong { .. })));
    }

    /// A megabyte of the shortest names that all differ costs the most to sort and sign.
    #[test]
    fn a_form_of_more_pairs_than_any_carrier_sends_is_refused_before_its_signature_is_checked() {
        let letters = || (b'!'..=b'~').filter(|b| !b"%&+=".contains(b));
        let names =
            letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
        let hostile: Vec<u8> = names.flat_map(|[a, b, c]| [a, b, c, b'&']).collect();
        let hostile = &hostile[..1024 * 1024];
        let pairs_max = SIGNED_PAIRS_MAX;
        assert_eq!(
            check(URL, FORM, hostile, "AAAA"),
            Err(RequestError::TooManyPairs { pairs_max })
        );
        // Empty pairs are none, and the last allowed form is compared.
        let full = format!(
            "AccountSid={ACCOUNT}{}",
            "&&a=1".repeat(SIGNED_PAIRS_MAX - 1)
        );
        let parameters = ["a=1", &format!("AccountSid={ACCOUNT}")].join("&");
        assert_eq!(
            check(URL, FORM, full.as_bytes(), &signed(&parameters)),
            Ok(ACCOUNT)
        );
        let over = format!("{full}&a=1");
        assert_eq!(
            check(URL, FORM, over.as_bytes(), &signed(&parameters)),
            Err(RequestError::TooManyPairs { pairs_max })
        );
    }

    #[test]
    fn a_body_that_is_no_form_is_authentic_by_its_hash() {
        let body = br#"{"Body": "hello"}"#;
        let (url, signature) = signature::sign_body("token", URL, body);
        assert_eq!(
            check(&url, "application/json", body, &signature),
            Ok(ACCOUNT)
        );
        let wrong = check(&url, "application/json", b"{}", &signature);
        assert!(matches!(wrong, Err(RequestError::SignatureWrong { .. })));
        // The signature of a bare URL covers no body at all.
        let bare = signature::sign_url("token", URL);
        let wrong = check(URL, "application/json", body, &bare);
        assert!(matches!(wrong, Err(RequestError::SignatureWrong { .. })));
    }

    #[test]
    fn the_account_is_the_configured_one() {
        let other = AccountSid::from_bytes([2; 16]);
        for body in [
            format!("AccountSid={other}"),
            "AccountSid=".to_owned(),
            "Body=hello".to_owned(),
            format!("AccountSid={other}&AccountSid={ACCOUNT}"),
        ] {
            assert_eq!(
                check(URL, FORM, body.as_bytes(), &signed(&body)),
                Err(RequestError::OtherAccount),
                "{body}"
            );
        }
    }

    #[test]
    fn what_the_log_gets_of_a_stranger_holds_no_value() {
        let body = b"Body=secret&%2B15550001111=x&To=y";
        let url = format!("{URL}?token=hidden");
        let Err(RequestError::SignatureWrong { compared, .. }) = check(&url, FORM, body, "AAAA")
        else {
            panic!("the signature fits nothing");
        };
        assert!(compared.contains(URL), "{compared}");
        assert!(compared.contains("3 parameters (Body To)"), "{compared}");
        for hidden in ["secret", "hidden", "1555", "AAAA"] {
            assert!(!compared.contains(hidden), "{compared}");
        }
    }
}
