//! Signatures of messages: missing and wrong ones, and the URLs that they cover.

use super::*;

on_the_embedded_engine!(
    a_message_without_a_signature_is_refused,
    a_message_with_a_wrong_signature_is_refused,
    a_message_of_another_account_is_refused,
    the_signature_covers_our_public_url_and_not_the_host_header,
    a_url_is_signed_with_its_port_or_without,
    a_url_is_signed_with_its_query,
    a_signature_of_twilio_with_our_own_token_is_refused,
);

async fn a_message_without_a_signature_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let body = encode(&twilio_form(&sid, ADA, OURS, "hello"));
    let unsigned = request("POST", "/inbound/twilio", FORM, &body);
    refused(&system.send(unsigned).await, "none");
    for signature in [
        "",
        " ",
        "=",
        "not base64!",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ] {
        let answer = signed(&system, "/inbound/twilio", &body, signature, &[]).await;
        refused(&answer, signature);
    }
    // Our own credentials are no signature.
    let header = ("Authorization", basic_credentials(ACCOUNT, TOKEN));
    let answer = signed(
        &system,
        "/inbound/twilio",
        &body,
        "",
        &[(header.0, &header.1)],
    )
    .await;
    refused(&answer, "credentials");
    nothing_happened(&system).await;
}

async fn a_message_with_a_wrong_signature_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let complete = twilio_form(&sid, ADA, OURS, "hello");
    let url = format!("{PUBLIC_URL}/inbound/twilio");
    let good = signature::sign(TWILIO_TOKEN, &url, complete);

    // A changed, a missing, an added and a repeated parameter under a good signature.
    let changed = complete.map(|(name, value)| match name {
        "Body" => (name, "changed"),
        _ => (name, value),
    });
    let missing = complete[..10].to_vec();
    let added = [&complete[..], &[("MediaUrl0", "https://example.com/")]].concat();
    let repeated = [&complete[..], &[("From", BOB)]].concat();
    for (what, form) in [
        ("changed", changed.to_vec()),
        ("missing", missing),
        ("added", added),
        ("repeated", repeated),
    ] {
        let answer = signed(&system, "/inbound/twilio", &encode(&form), &good, &[]).await;
        refused(&answer, what);
    }

    // A good form under the signatures of other URLs and tokens.
    let body = encode(&complete);
    for (token, url) in [
        ("another token", url.as_str()),
        ("", &url),
        (TWILIO_TOKEN, "https://crosspoint.example/inbound/simulator"),
        (TWILIO_TOKEN, "http://crosspoint.example/inbound/twilio"),
        (TWILIO_TOKEN, "https://evil.example/inbound/twilio"),
        (
            TWILIO_TOKEN,
            "https://crosspoint.example:444/inbound/twilio",
        ),
        (TWILIO_TOKEN, "https://crosspoint.example/inbound/twilio/"),
        (TWILIO_TOKEN, "/inbound/twilio"),
    ] {
        let wrong = signature::sign(token, url, complete);
        let answer = signed(&system, "/inbound/twilio", &body, &wrong, &[]).await;
        refused(&answer, url);
    }
    nothing_happened(&system).await;
}

async fn a_message_of_another_account_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let complete = twilio_form(&sid, ADA, OURS, "hello");
    for account in [
        "AC22222222222222222222222222222222",
        ACCOUNT,
        "",
        "AC1",
        "AC111111111111111111111111111111111",
    ] {
        assert_ne!(account, TWILIO_ACCOUNT);
        let form = complete.map(|(name, value)| match name {
            "AccountSid" => (name, account),
            _ => (name, value),
        });
        refused(&system.twilio(&form).await, account);
    }
    nothing_happened(&system).await;
}

async fn the_signature_covers_our_public_url_and_not_the_host_header(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let complete = twilio_form(&sid, ADA, OURS, "hello");
    let body = encode(&complete);
    let hostile = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "host=evil.example;proto=http"),
        ("X-Original-URL", "/evil"),
    ];
    // Signed for where the headers point.
    for url in [
        "https://evil.example/inbound/twilio",
        "http://evil.example/inbound/twilio",
    ] {
        let wrong = signature::sign(TWILIO_TOKEN, url, complete);
        let answer = signed(&system, "/inbound/twilio", &body, &wrong, &hostile).await;
        refused(&answer, url);
    }
    assert_eq!(system.conversations().await.len(), 0);
    // Signed for us.
    let url = format!("{PUBLIC_URL}/inbound/twilio");
    let good = signature::sign(TWILIO_TOKEN, &url, complete);
    let answer = signed(&system, "/inbound/twilio", &body, &good, &hostile).await;
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(system.conversations().await.len(), 1);
}

async fn a_url_is_signed_with_its_port_or_without(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, host) in (1..).zip(["crosspoint.example", "crosspoint.example:443"]) {
        let sid = sid(number);
        let complete = twilio_form(&sid, ADA, OURS, host);
        let url = format!("https://{host}/inbound/twilio");
        let good = signature::sign(TWILIO_TOKEN, &url, complete);
        let body = encode(&complete);
        let answer = signed(&system, "/inbound/twilio", &body, &good, &[]).await;
        assert!(answer.accepted(), "{url}: {}", answer.text());
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await.len(), 2);
}

async fn a_url_is_signed_with_its_query(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let complete = twilio_form(&sid, ADA, OURS, "hello");
    let body = encode(&complete);
    let with = "/inbound/twilio?tenant=7&b=%20";
    let without = "/inbound/twilio";
    let sign = |uri: &str| signature::sign(TWILIO_TOKEN, &format!("{PUBLIC_URL}{uri}"), complete);
    for (uri, signed_uri) in [(with, without), (without, with)] {
        let answer = signed(&system, uri, &body, &sign(signed_uri), &[]).await;
        refused(&answer, uri);
    }
    assert_eq!(system.conversations().await.len(), 0);
    let answer = signed(&system, with, &body, &sign(with), &[]).await;
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(system.conversations().await.len(), 1);
}

async fn a_signature_of_twilio_with_our_own_token_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let url = format!("{PUBLIC_URL}/inbound/twilio");
    for account in [TWILIO_ACCOUNT, ACCOUNT] {
        let form = twilio_form(&sid, ADA, OURS, "hello").map(|(name, value)| match name {
            "AccountSid" => (name, account),
            _ => (name, value),
        });
        let wrong = signature::sign(TOKEN, &url, form);
        let answer = signed(&system, "/inbound/twilio", &encode(&form), &wrong, &[]).await;
        refused(&answer, account);
    }
    nothing_happened(&system).await;
}

/// A post by Twilio under this signature, with headers besides.
async fn signed(
    system: &TestSystem,
    uri: &str,
    body: &str,
    signature: &str,
    headers: &[(&'static str, &str)],
) -> Response {
    let mut request = request("POST", uri, FORM, body);
    let signature = signature.parse().expect("a header");
    request
        .headers_mut()
        .insert("X-Twilio-Signature", signature);
    for (name, value) in headers {
        let value = value.parse().expect("a header");
        request.headers_mut().insert(*name, value);
    }
    system.send(request).await
}
