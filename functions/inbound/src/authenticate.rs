//! Whether a request is from whom it says.

use bytes::Bytes;
use carriers::{Form, signature};
use http::{Request, StatusCode};

use crate::Inbound;
use crate::answer::Refusal;

const SIGNATURE: &str = "X-Twilio-Signature";

/// The signature of the configured account at Twilio, over the public address and the parameters.
pub(crate) fn twilio(
    inbound: &Inbound,
    request: &Request<Bytes>,
    form: &Form,
) -> Result<(), Refusal> {
    let Some(credentials) = &inbound.twilio else {
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
    let url = format!("{}{path}", inbound.app.public_url.as_str());
    if !signature::verify(&credentials.token, &url, form, signature) {
        let names: Vec<&str> = form.iter().map(|(name, _)| name).collect();
        let names = names.join(" ");
        tracing::warn!(
            url,
            names,
            signature,
            "the signature of a request does not fit {url} and its {} parameters; \
             is CROSSPOINT_PUBLIC_URL the address that the carrier calls?",
            form.iter().count()
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
