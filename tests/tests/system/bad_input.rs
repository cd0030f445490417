//! Bad input at every door: each is refused with an error that a program can read, and leaves nothing behind.

use axum::body::Body;
use carriers::webhook::signature;
use http::{Method, Request};
use serde_json::{Value, json};
use tests::carrier::{sid, twilio_form};
use tests::form::encode;
use tests::json::{keys, only, text};
use tests::response::Response;
use tests::rest::basic_credentials;
use tests::system::{
    ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TOKEN, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem,
};

on_both_engines!(
    a_message_that_is_too_long_to_keep_is_refused,
    a_value_that_is_too_long_is_refused,
    a_value_of_the_greatest_length_is_stored,
    a_long_name_of_any_letters_is_stored,
    an_odd_name_is_refused_or_found_again,
    an_empty_name_counts_as_absent,
    odd_names_in_a_path_are_not_found,
);

on_the_embedded_engine!(
    a_carrier_that_we_do_not_know_is_refused,
    a_message_by_another_method_is_refused,
    a_message_that_is_not_a_form_is_refused,
    a_message_without_a_required_parameter_is_refused,
    a_message_with_malformed_fields_is_refused,
    a_message_that_is_not_utf_8_is_refused,
    a_message_with_a_broken_escape_is_refused,
    a_body_over_a_megabyte_is_refused,
    a_message_without_a_signature_is_refused,
    a_message_with_a_wrong_signature_is_refused,
    a_message_of_another_account_is_refused,
    the_signature_covers_our_public_url_and_not_the_host_header,
    a_url_is_signed_with_its_port_or_without,
    a_url_is_signed_with_its_query,
    a_signature_of_twilio_with_our_own_token_is_refused,
    a_request_without_our_credentials_is_refused,
    an_unknown_path_is_not_found,
    an_unknown_method_is_refused,
    attributes_that_are_not_json_are_refused,
    a_malformed_date_is_refused,
    a_form_with_too_many_parameters_is_refused,
    a_form_over_a_megabyte_is_refused,
    a_form_that_is_not_utf_8_is_refused,
);

const FORM: &str = "application/x-www-form-urlencoded";

/// Parameters of a message that no carrier's parser can read.
pub(crate) const MALFORMED: [(&str, &str); 14] = [
    ("From", ""),
    ("From", "+"),
    ("From", "whatsapp:"),
    (
        "From",
        "+11111111111111111111111111111111111111111111111111",
    ),
    ("From", "+1555000\n1111"),
    ("To", ""),
    ("To", "+"),
    ("To", "whatsapp:"),
    ("To", "+11111111111111111111111111111111111111111111111111"),
    ("NumMedia", "many"),
    ("NumMedia", "-1"),
    ("NumMedia", "1000000"),
    ("NumMedia", "99999999999999999999"),
    // A medium is announced and does not come.
    ("NumMedia", "1"),
];

async fn a_carrier_that_we_do_not_know_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let body = encode(&form(&sid(1), ADA, OURS, "hello"));
    for carrier in ["pigeon", "Twilio", "twilio/", "", "simulator/x", "%74wilio"] {
        let uri = format!("/inbound/{carrier}");
        let answer = system.send(request("POST", &uri, FORM, &body)).await;
        refused(&answer, carrier);
        if carrier.chars().all(char::is_alphabetic) && !carrier.is_empty() {
            assert_eq!(answer.status, 404, "{carrier}: {}", answer.text());
        }
    }
    nothing_happened(&system).await;
}

async fn a_message_by_another_method_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let body = encode(&form(&sid(1), ADA, OURS, "hello"));
    for carrier in ["simulator", "twilio"] {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let uri = format!("/inbound/{carrier}");
            for uri in [uri.clone(), format!("{uri}?{body}")] {
                let answer = system.send(request(method, &uri, FORM, &body)).await;
                refused(&answer, method);
                assert_eq!(answer.status, 405, "{method} {uri}");
            }
        }
    }
    nothing_happened(&system).await;
}

async fn a_message_that_is_not_a_form_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let body = encode(&form(&sid(1), ADA, OURS, "hello"));
    let json = r#"{"MessageSid":"SM00000000000000000000000000000001"}"#;
    for (content_type, body) in [
        ("application/json", body.as_str()),
        ("application/json", json),
        ("text/plain", &body),
        ("multipart/form-data; boundary=x", &body),
        ("", &body),
        ("application/x-www-form-urlencodedx", &body),
        (FORM, json),
        (FORM, ""),
    ] {
        let answer = system
            .send(request("POST", "/inbound/simulator", content_type, body))
            .await;
        refused(&answer, content_type);
    }
    nothing_happened(&system).await;
}

async fn a_message_without_a_required_parameter_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    for missing in ["From", "To"] {
        let mut form = form(&sid, ADA, OURS, "hello").to_vec();
        form.retain(|(name, _)| *name != missing);
        refused(&system.simulator(&form).await, missing);
    }
    let mut form = twilio_form(&sid, ADA, OURS, "hello").to_vec();
    form.retain(|(name, _)| *name != "AccountSid");
    refused(&system.twilio(&form).await, "AccountSid");
    nothing_happened(&system).await;
}

async fn a_message_with_malformed_fields_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    for (name, value) in MALFORMED {
        let mut form = form(&sid, ADA, OURS, "hello").to_vec();
        form.retain(|(key, _)| *key != name);
        form.push((name, value));
        let answer = system.simulator(&form).await;
        refused(&answer, &format!("{name}={value}"));
    }
    nothing_happened(&system).await;
}

async fn a_message_that_is_not_utf_8_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let good = encode(&form(&sid(1), ADA, OURS, "hello"));
    let start = good.trim_end_matches("hello");
    for end in [&b"%FF"[..], b"%C3%28", b"%ED%A0%80", b"\xff\xfe"] {
        let body = [start.as_bytes(), end].concat();
        let answer = system
            .send(request("POST", "/inbound/simulator", FORM, body))
            .await;
        refused(&answer, &String::from_utf8_lossy(end));
    }
    nothing_happened(&system).await;
}

async fn a_message_with_a_broken_escape_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let good = encode(&form(&sid(1), ADA, OURS, "hello"));
    for end in ["%", "%2", "%zz", "100%"] {
        let body = good.replace("hello", end);
        let answer = system
            .send(request("POST", "/inbound/simulator", FORM, body))
            .await;
        refused(&answer, end);
    }
    nothing_happened(&system).await;
}

async fn a_body_over_a_megabyte_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let long = "x".repeat(1024 * 1024 + 1);
    let answer = system.message(&sid, ADA, OURS, &long).await;
    refused(&answer, "simulator");
    let form = twilio_form(&sid, ADA, OURS, &long);
    refused(&system.twilio(&form).await, "Twilio");
    nothing_happened(&system).await;
}

async fn a_message_that_is_too_long_to_keep_is_refused(system: TestSystem) {
    // Under a megabyte, and longer than one item of the table can be.
    system.autocreation(OURS).await;
    let sid = sid(1);
    let long = "x".repeat(500 * 1024);
    refused(&system.message(&sid, ADA, OURS, &long).await, "body");
    let mut form = form(&sid, ADA, OURS, "").to_vec();
    let url = format!("https://media.example/{long}");
    form.extend([
        ("NumMedia", "1"),
        ("MediaUrl0", url.as_str()),
        ("MediaContentType0", "image/jpeg"),
    ]);
    refused(&system.simulator(&form).await, "MediaUrl0");
    nothing_happened(&system).await;
}

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

async fn a_request_without_our_credentials_is_refused(system: TestSystem) {
    let right = basic_credentials(ACCOUNT, TOKEN);
    let encoded = right.trim_start_matches("Basic ");
    let numbers = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    for authorization in [
        None,
        Some(String::new()),
        Some("Basic".to_owned()),
        Some("Basic !".to_owned()),
        Some(encoded.to_owned()),
        Some(format!("Bearer {encoded}")),
        Some(basic_credentials("", "")),
        Some(basic_credentials(ACCOUNT, "")),
        Some(basic_credentials("", TOKEN)),
        Some(basic_credentials(ACCOUNT, "testtokem")),
        Some(basic_credentials(ACCOUNT, "testtoken ")),
        Some(basic_credentials(ACCOUNT, "testtokentesttoken")),
        Some(basic_credentials(ACCOUNT, "test")),
        Some(basic_credentials(
            "AC00000000000000000000000000000001",
            TOKEN,
        )),
        Some(basic_credentials(TWILIO_ACCOUNT, TWILIO_TOKEN)),
        Some(basic_credentials(TOKEN, ACCOUNT)),
    ] {
        for (method, uri) in [
            ("POST", "/v1/Conversations"),
            ("GET", "/v1/Conversations"),
            ("GET", "/v1/Configuration/Webhooks"),
            ("GET", "/v1/ParticipantConversations?Identity=carol"),
            ("GET", &numbers),
        ] {
            let mut request = request(method, uri, FORM, "");
            if let Some(authorization) = &authorization {
                let value = authorization.parse().expect("a header");
                request.headers_mut().insert("Authorization", value);
            }
            let answer = system.send(request).await;
            let what = format!("{authorization:?}");
            refused_by_rest(&answer, &what);
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            assert_eq!(answer.json()["code"], 20003, "{what}");
        }
    }
    assert_eq!(system.conversations().await.len(), 0);
    // The scheme's name is no secret, and may be written as one likes.
    let mut request = request("GET", "/v1/Conversations", FORM, "");
    let value = format!("basic {encoded}").parse().expect("a header");
    request.headers_mut().insert("Authorization", value);
    system.send(request).await.expect(200);
}

async fn an_unknown_path_is_not_found(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    for path in [
        "/v1",
        "/v1/",
        "/v1/Nothing",
        "/v1/conversations",
        "/v2/Conversations",
        "/v1/Configuration/Nothing",
        "/2010-04-01/Accounts",
        "/nothing",
        &format!("/v1/Conversations/{conversation}/Nothing"),
        &format!("/v1/Conversations/{conversation}/Participants/MB0/Nothing"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = system.send(authorized(method, path, "")).await;
            refused_by_rest(&answer, path);
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
            assert_eq!(answer.json()["code"], 20404, "{method} {path}");
        }
    }
}

async fn an_unknown_method_is_refused(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let one = format!("/v1/Conversations/{conversation}");
    for (method, path) in [
        ("PUT", "/v1/Conversations"),
        ("DELETE", "/v1/Conversations"),
        ("PATCH", &one),
        ("PUT", &one),
        ("DELETE", "/v1/Configuration"),
        ("DELETE", "/v1/Configuration/Webhooks"),
        ("PUT", "/v1/Configuration/Addresses"),
        ("POST", "/v1/ParticipantConversations"),
        ("PUT", &format!("{one}/Participants")),
        ("DELETE", &format!("{one}/Messages")),
    ] {
        let answer = system.send(authorized(method, path, "")).await;
        refused_by_rest(&answer, path);
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        assert_eq!(answer.json()["code"], 20004, "{method} {path}");
    }
    system.get(&one).await.expect(200);
}

/// What a conversation, its participants and its messages can be made and changed at.
async fn doors(system: &TestSystem) -> [String; 6] {
    let conversation = system.conversation(&[]).await;
    let one = format!("/v1/Conversations/{conversation}");
    let participants = format!("{one}/Participants");
    let participant = system.post(&participants, &[("Identity", "carol")]).await;
    let messages = format!("{one}/Messages");
    let message = system.post(&messages, &[("Body", "hello")]).await;
    [
        "/v1/Conversations".to_owned(),
        one,
        participants,
        text(&participant.expect(201)["url"]),
        messages,
        text(&message.expect(201)["url"]),
    ]
}

async fn attributes_that_are_not_json_are_refused(system: TestSystem) {
    let doors = doors(&system).await;
    for attributes in ["{", "nothing", r#"{"a":}"#, "{'a':1}", "{} {}", r#"{"a":1"#] {
        for path in &doors {
            let form = [
                ("Attributes", attributes),
                ("Identity", "dave"),
                ("Body", "hello"),
            ];
            // An update of a chat participant has no business with the identity.
            let form = if path.contains("/Participants/") {
                &form[..1]
            } else {
                &form
            };
            let answer = system.post(path, form).await;
            refused_by_rest(&answer, &format!("{path} {attributes}"));
            assert_eq!(answer.json()["code"], 50304, "{path} {attributes}");
        }
    }
    unchanged(&system, &doors).await;
}

async fn a_value_that_is_too_long_is_refused(system: TestSystem) {
    let doors = doors(&system).await;
    let [
        conversations,
        conversation,
        participants,
        participant,
        messages,
        message,
    ] = &doors;
    let attributes = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes));
    let (small, large) = (attributes(4 * 1024), attributes(16 * 1024));
    let (name, long) = ("x".repeat(257), "x".repeat(40_000));
    for (path, form, code) in [
        (conversations, &[("FriendlyName", name.as_str())][..], 50003),
        (conversation, &[("FriendlyName", &name)], 50003),
        (conversations, &[("UniqueName", &long)], 50004),
        (conversation, &[("UniqueName", &long)], 50004),
        (conversations, &[("Attributes", &large)], 50303),
        (conversation, &[("Attributes", &large)], 50303),
        (participants, &[("Identity", &name)], 50207),
        (
            participants,
            &[("Identity", "dave"), ("Attributes", &small)],
            50303,
        ),
        (participant, &[("Attributes", &small)], 50303),
        (messages, &[("Body", &long)], 50504),
        (message, &[("Body", &long)], 50504),
        (
            messages,
            &[("Body", "hello"), ("Attributes", &small)],
            50303,
        ),
        (message, &[("Attributes", &small)], 50303),
        (messages, &[("Body", "hello"), ("Author", &long)], 50310),
        (message, &[("Author", &long)], 50310),
    ] {
        let answer = system.post(path, form).await;
        let what = format!("{path} {}", form[form.len() - 1].0);
        refused_by_rest(&answer, &what);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{what}: {}", answer.text());
    }
    unchanged(&system, &doors).await;
}

async fn a_value_of_the_greatest_length_is_stored(system: TestSystem) {
    let doors = doors(&system).await;
    let [conversations, _, participants, _, messages, _] = &doors;
    let attributes = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let (small, large) = (attributes(4 * 1024), attributes(16 * 1024));
    // The limit counts characters, not bytes.
    for character in ["x", "ж"] {
        let (name, body) = (character.repeat(256), character.repeat(1_600));
        for (path, key, form) in [
            (
                conversations,
                "friendly_name",
                [("FriendlyName", name.as_str()), ("Attributes", &large)],
            ),
            (
                participants,
                "identity",
                [("Identity", &name), ("Attributes", &small)],
            ),
            (messages, "body", [("Body", &body), ("Attributes", &small)]),
        ] {
            let made = system.post(path, &form).await.expect(201);
            let made = system.get(&text(&made["url"])).await.expect(200);
            assert_eq!(made[key], form[0].1);
            assert_eq!(made["attributes"], form[1].1);
        }
        let query = encode(&[("Identity", &name)]);
        let path = format!("/v1/ParticipantConversations?{query}");
        assert_eq!(system.list(&path).await.len(), 1, "{character}");
    }
}

async fn a_long_name_of_any_letters_is_stored(system: TestSystem) {
    let name = "👋".repeat(256);
    let form = [("FriendlyName", name.as_str())];
    let made = system.post("/v1/Conversations", &form).await.expect(201);
    assert_eq!(made["friendly_name"], json!(name));
    let path = format!("{}/Participants", text(&made["url"]));
    // An identity is a key of the table: a thousand bytes at most.
    let form = [("Identity", &name[..1_000])];
    let joined = system.post(&path, &form).await.expect(201);
    assert_eq!(joined["identity"], json!(&name[..1_000]));
    let form = [("Identity", &name[..1_004])];
    system.post(&path, &form).await.expect_code(400, 50207);
}

async fn an_odd_name_is_refused_or_found_again(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    for name in [
        "#",
        "a#b",
        "a##b",
        "a|b",
        "a:b",
        "a=b&c",
        "/",
        "a/b",
        "..",
        "%",
        "%2F",
        "?",
        " ",
        " a ",
        "\u{0}",
        "a\u{1}",
        "a\nb",
        "\u{7f}",
        "\u{10ffff}",
        "\u{feff}",
        "null",
        "👩‍👩‍👧‍👦",
        "MB",
        "CH",
        "*",
        "\\",
        "\"",
        "METADATA",
        "A\u{301}",
    ] {
        let escaped = encode(&[("", name)])
            .replacen('=', "", 1)
            .replace('+', "%20");
        for (list, parameter, key) in [
            ("/v1/Conversations", "UniqueName", "unique_name"),
            (participants.as_str(), "Identity", "identity"),
        ] {
            let answer = system.post(list, &[(parameter, name)]).await;
            if answer.status.is_client_error() {
                refused_by_rest(&answer, name);
                continue;
            }
            let made = answer.expect(201);
            assert_eq!(made[key], name);
            if name == ".." {
                // A path may end at such a name on its way; by SID it is there.
                system.get(&text(&made["url"])).await.expect(200);
                continue;
            }
            let found = system.get(&format!("{list}/{escaped}")).await;
            assert_eq!(found.expect(200), made, "{name:?}");
            // One is one.
            let again = system.post(list, &[(parameter, name)]).await;
            assert_eq!(again.status, 409, "{name:?}: {}", again.text());
        }
    }
}

async fn an_empty_name_counts_as_absent(system: TestSystem) {
    // It is refused or means nothing; it is no resource.
    for _ in 0..2 {
        let answer = system
            .post("/v1/Conversations", &[("UniqueName", "")])
            .await;
        if answer.status.is_client_error() {
            refused_by_rest(&answer, "UniqueName");
        } else {
            assert_eq!(answer.expect(201)["unique_name"], Value::Null);
        }
    }
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}/Participants");
    let answer = system.post(&path, &[("Identity", "")]).await;
    refused_by_rest(&answer, "Identity");
    assert_eq!(system.participants(&conversation).await.len(), 0);
}

async fn a_malformed_date_is_refused(system: TestSystem) {
    let doors = doors(&system).await;
    for date in [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "20260101",
        "1767225600",
    ] {
        for path in &doors {
            for (name, code) in [("DateCreated", 50308), ("DateUpdated", 50309)] {
                let form = [(name, date), ("Identity", "dave"), ("Body", "hello")];
                let form = if path.contains("/Participants/") {
                    &form[..1]
                } else {
                    &form
                };
                let answer = system.post(path, form).await;
                refused_by_rest(&answer, &format!("{path} {name}={date}"));
                assert_eq!(answer.json()["code"], code, "{path} {name}={date}");
            }
        }
    }
    unchanged(&system, &doors).await;
}

async fn a_form_with_too_many_parameters_is_refused(system: TestSystem) {
    system.autocreation(OURS).await;
    let doors = doors(&system).await;
    let many: String = (0..20_000).map(|number| format!("&a{number}=b")).collect();
    for path in ["/v1/Conversations", "/v1/Configuration/Webhooks"] {
        let body = format!("FriendlyName=many{many}");
        let answer = system.send(authorized("POST", path, &body)).await;
        refused_by_rest(&answer, path);
    }
    let same = "Filters=onMessageAdd&".repeat(20_000);
    let answer = system
        .send(authorized("POST", "/v1/Configuration/Webhooks", &same))
        .await;
    refused_by_rest(&answer, "Filters");
    let body = encode(&form(&sid(1), ADA, OURS, "hello")) + &many;
    let answer = system
        .send(request("POST", "/inbound/simulator", FORM, &body))
        .await;
    refused(&answer, "/inbound/simulator");
    unchanged(&system, &doors).await;
}

async fn a_form_over_a_megabyte_is_refused(system: TestSystem) {
    let doors = doors(&system).await;
    let long = "x".repeat(1024 * 1024 + 1);
    for path in &doors {
        let answer = system.post(path, &[("Unknown", &long)]).await;
        refused_by_rest(&answer, path);
    }
    unchanged(&system, &doors).await;
}

async fn a_form_that_is_not_utf_8_is_refused(system: TestSystem) {
    let doors = doors(&system).await;
    for body in [
        &b"FriendlyName=%FF&Body=%FF&Identity=%FF&Author=%FF"[..],
        b"FriendlyName=\xff&Body=\xff&Identity=\xff&Author=\xff",
    ] {
        for path in &doors {
            if path.contains("/Participants/") {
                continue;
            }
            let answer = system.send(authorized("POST", path, body)).await;
            refused_by_rest(&answer, path);
        }
    }
    unchanged(&system, &doors).await;
}

async fn odd_names_in_a_path_are_not_found(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let long = "x".repeat(5_000);
    for name in [
        "%00",
        "%FF",
        "%C3%28",
        "%20",
        "..%2F..",
        "%25",
        "a%0Ab",
        "%F0%9F%91%8B",
        &long,
    ] {
        for path in [
            format!("/v1/Conversations/{name}"),
            format!("/v1/Conversations/{name}/Messages"),
            format!("/v1/Conversations/{conversation}/Participants/{name}"),
            format!("/v1/Conversations/{conversation}/Messages/{name}"),
            format!("/v1/Configuration/Addresses/{name}"),
        ] {
            let answer = system.send(authorized("GET", &path, "")).await;
            refused_by_rest(&answer, &path);
        }
    }
}

/// A message by the simulator.
fn form<'a>(sid: &'a str, from: &'a str, to: &'a str, body: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("MessageSid", sid),
        ("From", from),
        ("To", to),
        ("Body", body),
    ]
}

fn request(method: &str, uri: &str, content_type: &str, body: impl AsRef<[u8]>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    if !content_type.is_empty() {
        request = request.header("Content-Type", content_type);
    }
    let body = Body::from(body.as_ref().to_vec());
    request.body(body).expect("a request")
}

fn authorized(method: &str, uri: &str, body: impl AsRef<[u8]>) -> Request<Body> {
    let path = uri.strip_prefix(PUBLIC_URL).unwrap_or(uri);
    let content_type = if method == Method::GET { "" } else { FORM };
    let mut request = request(method, path, content_type, body);
    let value = basic_credentials(ACCOUNT, TOKEN).parse().expect("a header");
    request.headers_mut().insert("Authorization", value);
    request
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

/// Asserts that the answer blames the client, in JSON.
#[track_caller]
fn refused(answer: &Response, what: &str) {
    let what: String = what.chars().take(200).collect();
    assert!(
        answer.status.is_client_error(),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    let content_type = answer.headers.get("content-type");
    assert!(
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json")),
        "{what}: {content_type:?} {}",
        answer.text()
    );
    let error = answer.json();
    assert!(error["message"].is_string(), "{what}: {error}");
    assert_eq!(error["status"], answer.status.as_u16(), "{what}: {error}");
}

/// The same for an answer of the REST API.
#[track_caller]
fn refused_by_rest(answer: &Response, what: &str) {
    refused(answer, what);
    let error = answer.json();
    let documented = ["code", "message", "more_info", "status"];
    assert_eq!(keys(&error), documented, "{error}");
    assert!(error["code"].is_u64(), "{error}");
}

/// Asserts that the table has nothing of Ada's refused message `SM…1`: no conversation, and no journal entry that would
/// make a duplicate of the same message in a valid form.
async fn nothing_happened(system: &TestSystem) {
    assert_eq!(system.conversations().await.len(), 0);
    let sid = sid(1);
    let answer = system.message(&sid, ADA, OURS, "simulated").await;
    assert!(answer.accepted(), "{}", answer.text());
    let form = twilio_form(&sid, ADA, OURS, "by Twilio");
    let answer = system.twilio(&form).await;
    assert!(answer.accepted(), "{}", answer.text());
    let conversation = text(&only(system.conversations().await)["sid"]);
    let bodies = system.bodies(&conversation).await;
    assert_eq!(bodies, ["simulated", "by Twilio"]);
}

/// Asserts that the refused requests had no effect.
async fn unchanged(system: &TestSystem, doors: &[String; 6]) {
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["friendly_name"], Value::Null);
    assert_eq!(conversation["unique_name"], Value::Null);
    assert_eq!(conversation["attributes"], "{}");
    let sid = text(&conversation["sid"]);
    assert!(doors[1].ends_with(&sid), "{sid}");
    let participant = only(system.participants(&sid).await);
    assert_eq!(participant["identity"], "carol");
    assert_eq!(participant["attributes"], "{}");
    let message = only(system.messages(&sid).await);
    assert_eq!(message["body"], "hello");
    assert_eq!(message["author"], "system");
    assert_eq!(message["attributes"], "{}");
}
