//! Whether a request is from whom it says.

use bytes::Bytes;
use carriers::{Form, signature};
use http::{Request, StatusCode};

use crate::Door;
use crate::answer::Refusal;

const SIGNATURE: &str = "X-Twilio-Signature";

/// The signature of the configured account at Twilio, over the public address and the parameters.
pub(crate) fn twilio(door: &Door, request: &Request<Bytes>, form: &Form) -> Result<(), Refusal> {
    let Some(credentials) = &door.twilio else {
        let text = "no Twilio account is configured: \
                    set CROSSPOINT_TWILIO_ACCOUNT_SID and CROSSPOINT_TWILIO_AUTH_TOKEN";
        return Err(Refusal::new(StatusCode::FORBIDDEN, text));
    };
    let signature = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok());
    let Some(signature) = signature.filter(|signature| !signature.is_empty()) else {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("header {SIGNATURE} is missing"),
        ));
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let url = format!("{}{path}", door.app.public_url.as_str());
    if !signature::verify(&credentials.token, &url, form, signature) {
        // Whoever sent this is unknown, and so is what it may hold: no values, no query, no signature.
        let compared = url.split('?').next().unwrap_or_default();
        let (count, names) = (form.iter().count(), plain_names(form));
        tracing::warn!(
            url = compared,
            count,
            names,
            "the signature of a request does not fit {compared} and its {count} parameters; \
             is CROSSPOINT_PUBLIC_URL the address that the carrier calls?"
        );
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("header {SIGNATURE} does not fit the request"),
        ));
    }
    if form.get("AccountSid") != Some(credentials.account.to_string().as_str()) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "AccountSid is not the configured account",
        ));
    }
    Ok(())
}

/// What of the parameters' names a log can bear.
fn plain_names(form: &Form) -> String {
    const NAMES_MAX: usize = 40;
    const LETTERS_MAX: usize = 32;
    let plain = |name: &&str| {
        name.len() <= LETTERS_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let names: Vec<&str> = form
        .iter()
        .map(|(name, _)| name)
        .filter(plain)
        .take(NAMES_MAX)
        .collect();
    names.join(" ")
}
