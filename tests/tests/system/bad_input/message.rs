//! Malformed messages at the door of a carrier.

use super::*;

on_both_engines!(a_message_that_is_too_long_to_keep_is_refused,);

on_the_embedded_engine!(
    a_carrier_that_we_do_not_know_is_refused,
    a_message_by_another_method_is_refused,
    a_message_that_is_not_a_form_is_refused,
    a_message_without_a_required_parameter_is_refused,
    a_message_with_malformed_fields_is_refused,
    a_message_that_is_not_utf_8_is_refused,
    a_message_with_a_broken_escape_is_refused,
    a_body_over_a_megabyte_is_refused,
);

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
