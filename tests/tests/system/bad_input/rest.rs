//! Bad requests to the REST API.

use super::*;

on_both_engines!(
    a_value_that_is_too_long_is_refused,
    a_value_of_the_greatest_length_is_stored,
    a_long_name_of_any_letters_is_stored,
    an_odd_name_is_refused_or_found_again,
    an_empty_name_counts_as_absent,
    odd_names_in_a_path_are_not_found,
);

on_the_embedded_engine!(
    a_request_without_our_credentials_is_refused,
    an_unknown_path_is_not_found,
    an_unknown_method_is_refused,
    attributes_that_are_not_json_are_refused,
    a_malformed_date_is_refused,
    a_form_with_too_many_parameters_is_refused,
    a_form_over_a_megabyte_is_refused,
    a_form_that_is_not_utf_8_is_refused,
);

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

fn authorized(method: &str, uri: &str, body: impl AsRef<[u8]>) -> Request<Body> {
    let path = uri.strip_prefix(PUBLIC_URL).unwrap_or(uri);
    let content_type = if method == Method::GET { "" } else { FORM };
    let mut request = request(method, path, content_type, body);
    let value = basic_credentials(ACCOUNT, TOKEN).parse().expect("a header");
    request.headers_mut().insert("Authorization", value);
    request
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
