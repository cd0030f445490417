//! A message that Twilio surely sent and that can't be read: it is kept in its raw form, and Twilio need not repeat it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use carriers::twilio::Credentials;
use carriers::webhook::signature;
use carriers::{Arrival, Receivers};
use http::{HeaderMap, Method, Request};
use routing::{AccountSid, CarrierName, Unreadable};
use store::Deadline;
use tests::carrier::{sid, twilio_form};
use tests::form::encode;
use tests::json::{only, text};
use tests::receiver::{Receiver, Reply};
use tests::response::Response;
use tests::system::{ADA, BOB, OURS, PUBLIC_URL, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem};
use tests::wire::Fault;

use crate::bad_input::MALFORMED;

on_both_engines!(
    a_message_of_an_unknown_channel_is_kept_as_it_came,
    a_message_that_lacks_or_doubles_a_parameter_is_kept,
    a_message_with_a_malformed_parameter_is_kept,
    a_message_without_a_sid_is_kept,
    a_body_that_is_not_a_form_is_kept,
    a_body_of_another_type_is_kept,
    a_body_that_is_longer_than_an_item_is_kept_from_its_beginning,
    a_repetition_is_a_duplicate,
    a_kept_message_is_found_by_its_key,
    one_sid_to_two_of_our_numbers_is_two_messages,
    a_readable_message_of_the_same_sid_is_another_message,
    a_message_is_not_accepted_while_the_table_is_dead,
    a_commit_whose_answer_is_lost_is_one_record,
    a_message_of_a_stranger_is_not_kept,
);

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const RCS: &str = "rcs:acme_agent";

async fn a_message_of_an_unknown_channel_is_kept_as_it_came(system: TestSystem) {
    let application = number_with_webhook(&system).await;
    system.autocreation(OURS).await;
    let sid = sid(1);
    let form = twilio_form(&sid, RCS, OURS, "héllo");
    let response = system.twilio(&form).await;
    taken(&response);

    let item = only_item(journaled(&system, &sid).await);
    assert_eq!(bytes(&item["body"]), encode(&form).as_bytes());
    assert_eq!(string(&item["content_type"]), FORM);
    assert_eq!(
        string(&item["reason"]),
        "parameter From is of a channel that is neither SMS nor WhatsApp"
    );
    // Nothing else happened.
    assert_eq!(system.conversations().await.len(), 0);
    assert_eq!(application.received().len(), 0);
    // The time index names it, so that a list of messages finds it.
    assert!(string(&item["gp"]).starts_with("T#"), "{item:?}");
}

async fn a_message_that_lacks_or_doubles_a_parameter_is_kept(system: TestSystem) {
    system.autocreation(OURS).await;
    let sids: Vec<_> = (1..=4).map(sid).collect();
    for (sid, change) in sids.iter().zip(["From", "To", "NumMedia", "Body"]) {
        let mut form = twilio_form(sid, ADA, OURS, "hello").to_vec();
        match change {
            "Body" => form.push(("Body", "again")),
            "NumMedia" => form.push(("NumMedia", "1")),
            missing => form.retain(|(name, _)| *name != missing),
        }
        taken(&system.twilio(&form).await);
        let item = only_item(journaled(&system, sid).await);
        assert_eq!(bytes(&item["body"]), encode(&form).as_bytes(), "{change}");
        assert!(string(&item["reason"]).contains(change), "{item:?}");
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_message_with_a_malformed_parameter_is_kept(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, (name, value)) in (1..).zip(MALFORMED) {
        let sid = sid(number);
        let complete = twilio_form(&sid, ADA, OURS, "hello");
        let form = complete.map(|(key, old)| (key, if key == name { value } else { old }));
        taken(&system.twilio(&form).await);
        let item = only_item(journaled(&system, &sid).await);
        assert_eq!(
            bytes(&item["body"]),
            encode(&form).as_bytes(),
            "{name}={value}"
        );
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_message_without_a_sid_is_kept(system: TestSystem) {
    system.autocreation(OURS).await;
    let long = format!("SM{}", "0".repeat(300));
    let digit = "SM0000000000000000000000000000000g";
    for (number, value) in (1..).zip(["", "hello", "SM1", digit, &long]) {
        // Twilio says the SID three times.
        taken(&system.twilio(&twilio_form(value, ADA, OURS, "hello")).await);
        assert_eq!(all_unreadable(&system).await.len(), number, "{value}");
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_body_that_is_not_a_form_is_kept(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let form = twilio_form(&sid, ADA, OURS, "100%");
    let signature = signature::sign(TWILIO_TOKEN, &url(), form);
    // The `%` is not escaped, as it must be in a form.
    let body = encode(&form).replace("100%25", "100%");
    taken(&post(&system, "/inbound/twilio", FORM, &signature, &body).await);
    let item = only_item(journaled(&system, &sid).await);
    assert_eq!(bytes(&item["body"]), body.as_bytes());
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_body_of_another_type_is_kept(system: TestSystem) {
    system.autocreation(OURS).await;
    // Twilio signs such a body by its hash.
    for (number, body) in [(1, r#"{"Body":"one"}"#), (2, r#"{"Body":"two"}"#)] {
        let (url, signature) = signature::sign_body(TWILIO_TOKEN, &url(), body.as_bytes());
        let uri = url.strip_prefix(PUBLIC_URL).expect("our URL");
        for _ in 0..2 {
            let response = post(&system, uri, "application/json", &signature, body).await;
            taken(&response);
        }
        // Without a SID, the body is the identity.
        let kept = all_unreadable(&system).await;
        assert_eq!(kept.len(), number, "{kept:?}");
        assert!(
            kept.iter()
                .any(|item| bytes(&item["body"]) == body.as_bytes())
        );
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_body_that_is_longer_than_an_item_is_kept_from_its_beginning(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    let long = "x".repeat(900 * 1024);
    let form = twilio_form(&sid, ADA, OURS, &long);
    taken(&system.twilio(&form).await);
    let item = only_item(journaled(&system, &sid).await);
    let (body, sent) = (bytes(&item["body"]), encode(&form));
    assert!(sent.as_bytes().starts_with(body));
    assert!(body.len() > 300 * 1024, "{}", body.len());
    let length = item["length"].as_n().expect("a number");
    assert_eq!(*length, sent.len().to_string());
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_repetition_is_a_duplicate(system: TestSystem) {
    let sid = sid(1);
    let form = twilio_form(&sid, RCS, OURS, "hello");
    taken(&system.twilio(&form).await);
    let first = journaled(&system, &sid).await;
    // The fallback URL gets two parameters more.
    let more = [("ErrorCode", "11200"), ("ErrorUrl", "https://a.example/")];
    let again = [&form[..], &more].concat();
    taken(&system.twilio(&again).await);
    taken(&system.twilio(&form).await);
    assert_eq!(journaled(&system, &sid).await, first);
    only_item(first);
}

async fn a_kept_message_is_found_by_its_key(system: TestSystem) {
    let sid = sid(1);
    let form = twilio_form(&sid, RCS, OURS, "hello");
    taken(&system.twilio(&form).await);

    // The same request, read beside the door.
    let receivers = Receivers {
        twilio: Some(Credentials {
            account: AccountSid::parse(TWILIO_ACCOUNT).expect("a SID"),
            token: TWILIO_TOKEN.to_owned(),
        }),
        ..Receivers::default()
    };
    let mut headers = HeaderMap::new();
    let (url, body) = (url(), encode(&form));
    let signature = signature::sign(TWILIO_TOKEN, &url, form);
    headers.insert("Content-Type", FORM.parse().expect("a header"));
    headers.insert("X-Twilio-Signature", signature.parse().expect("a header"));
    let request = carriers::Request {
        method: &Method::POST,
        url: &url,
        headers: &headers,
        body: body.as_bytes(),
        received_at: system.app.clock.now(),
        fresh: system.app.carrier_message_sid(),
    };
    let arrival = receivers.receive(CarrierName::Twilio, &request);
    let Ok(Arrival::Unreadable(sent)) = arrival else {
        panic!("{arrival:?}");
    };

    let deadline = Deadline::after(Duration::from_secs(10));
    let store = &system.app.store;
    let kept = store.unreadable_get(&sent.key, deadline).await;
    let kept = kept.expect("an answer").expect("a record");
    assert!(kept.received_at <= sent.received_at);
    let received_at = kept.received_at;
    assert_eq!(
        kept,
        Unreadable {
            received_at,
            ..sent
        }
    );
}

async fn one_sid_to_two_of_our_numbers_is_two_messages(system: TestSystem) {
    let sid = sid(1);
    for to in [OURS, "+15550002223"] {
        taken(&system.twilio(&twilio_form(&sid, RCS, to, "hello")).await);
    }
    assert_eq!(journaled(&system, &sid).await.len(), 2);
}

async fn a_readable_message_of_the_same_sid_is_another_message(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    taken(&system.twilio(&twilio_form(&sid, RCS, OURS, "no")).await);
    // As after an update that can read what the version before could not.
    taken(&system.twilio(&twilio_form(&sid, ADA, OURS, "yes")).await);
    taken(&system.twilio(&twilio_form(&sid, RCS, OURS, "no")).await);
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["yes"]);
    assert_eq!(journaled(&system, &sid).await.len(), 2);
}

async fn a_message_is_not_accepted_while_the_table_is_dead(system: TestSystem) {
    let sid = sid(1);
    let form = twilio_form(&sid, RCS, OURS, "hello");
    system
        .wire
        .fail_by(|operation, _| (operation == "PutItem").then_some(Fault::NoTable));
    let response = system.twilio(&form).await;
    assert!(response.status.is_server_error(), "{}", response.text());
    assert_eq!(journaled(&system, &sid).await.len(), 0);
    system.wire.heal();
    taken(&system.twilio(&form).await);
    only_item(journaled(&system, &sid).await);
}

async fn a_commit_whose_answer_is_lost_is_one_record(system: TestSystem) {
    let sid = sid(1);
    system.wire.fail_next("PutItem", Fault::AnswerLost);
    taken(&system.twilio(&twilio_form(&sid, RCS, OURS, "hello")).await);
    only_item(journaled(&system, &sid).await);
}

async fn a_message_of_a_stranger_is_not_kept(system: TestSystem) {
    let sid = sid(1);
    for (form, signed) in [
        (
            twilio_form(&sid, RCS, OURS, "hello"),
            twilio_form(&sid, RCS, OURS, "other"),
        ),
        (
            twilio_form(&sid, RCS, OURS, "hello"),
            twilio_form(&sid, BOB, OURS, "hello"),
        ),
    ] {
        let signature = signature::sign(TWILIO_TOKEN, &url(), signed);
        let body = encode(&form);
        let response = post(&system, "/inbound/twilio", FORM, &signature, &body).await;
        assert_eq!(response.status, 403, "{}", response.text());
    }
    let bare = signature::sign_url(TWILIO_TOKEN, &url());
    let response = post(&system, "/inbound/twilio", "text/plain", &bare, "hello").await;
    assert_eq!(response.status, 403, "{}", response.text());
    assert_eq!(all_unreadable(&system).await.len(), 0);
}

fn url() -> String {
    format!("{PUBLIC_URL}/inbound/twilio")
}

/// Twilio has no reason to send it again, and sends nothing back.
#[track_caller]
fn taken(response: &Response) {
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(
        response.text().ends_with("<Response></Response>"),
        "{}",
        response.text()
    );
}

async fn post(
    system: &TestSystem,
    uri: &str,
    content_type: &str,
    signature: &str,
    body: &str,
) -> Response {
    let request = Request::post(uri)
        .header("Content-Type", content_type)
        .header("X-Twilio-Signature", signature)
        .body(Body::from(body.to_owned()));
    system.send(request.expect("a request")).await
}

/// The webhook of our number, which must get no request.
async fn number_with_webhook(system: &TestSystem) -> Receiver {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = format!("{}/sms", application.url());
    system.number(OURS, &[("SmsUrl", &url)]).await;
    application
}

type Item = HashMap<String, AttributeValue>;

/// What the journal holds under a SID. No door shows it yet.
async fn journaled(system: &TestSystem, sid: &str) -> Vec<Item> {
    let client = system.client();
    let query = client.query().table_name(system.table());
    let found = query
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", AttributeValue::S(format!("J#{sid}")))
        .consistent_read(true)
        .send();
    found.await.expect("a query").items.unwrap_or_default()
}

/// Every unreadable message of a small table.
async fn all_unreadable(system: &TestSystem) -> Vec<Item> {
    let client = system.client();
    let scan = client
        .scan()
        .table_name(system.table())
        .consistent_read(true);
    let found = scan.send().await.expect("a scan");
    let items = found.items.unwrap_or_default().into_iter();
    items.filter(|item| item.contains_key("reason")).collect()
}

#[track_caller]
fn only_item(items: Vec<Item>) -> Item {
    let [item] = <[Item; 1]>::try_from(items).expect("one item");
    item
}

#[track_caller]
fn string(value: &AttributeValue) -> &str {
    value.as_s().expect("a string")
}

#[track_caller]
fn bytes(value: &AttributeValue) -> &[u8] {
    value.as_b().expect("bytes").as_ref()
}
