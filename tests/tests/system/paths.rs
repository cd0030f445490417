//! Paths as Lambda hands them over: decoded by API Gateway's HTTP API, encoded by a function URL and by
//! `cargo lambda watch`, and with the path of the public URL before them.

use carriers::webhook::signature;
use serde_json::{Value, json};
use tests::carrier::sid;
use tests::engine::EngineKind;
use tests::form::encode;
use tests::json::{only, text};
use tests::rest::basic_credentials;
use tests::system::{
    ACCOUNT, ADA, OURS, PUBLIC_URL, TOKEN, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem,
};

/// What an HTTP API sends: the path is decoded.
fn http_api(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {
            "host": "sjzepsqsu5.execute-api.us-west-2.amazonaws.com",
            "authorization": basic_credentials(ACCOUNT, TOKEN),
            "content-type": "application/x-www-form-urlencoded",
        },
        "requestContext": {
            "accountId": "910345601053", "apiId": "sjzepsqsu5",
            "domainName": "sjzepsqsu5.execute-api.us-west-2.amazonaws.com", "domainPrefix": "sjzepsqsu5",
            "requestId": "ATfSmjLgPHcESJw=", "routeKey": "$default", "stage": "$default",
            "time": "10/Jul/2026:19:19:05 +0000", "timeEpoch": 1_783_711_145_766_u64,
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "curl"
            }
        },
        "isBase64Encoded": false
    })
}

/// What `cargo lambda watch` sends: the path is encoded.
fn watch(method: &str, path: &str) -> Value {
    let mut event = http_api(method, path);
    let context = &mut event["requestContext"];
    context["accountId"] = Value::Null;
    context["apiId"] = Value::Null;
    context["domainName"] = "localhost".into();
    event
}

/// What a function URL sends: the path is encoded.
fn function_url(method: &str, path: &str) -> Value {
    let mut event = http_api(method, path);
    let context = &mut event["requestContext"];
    context["apiId"] = "2cxn22odiwguak4feg4jtt7cwm0ziblr".into();
    context["domainName"] = "2cxn22odiwguak4feg4jtt7cwm0ziblr.lambda-url.us-west-2.on.aws".into();
    event
}

/// A conversation with the unique name `the one` and chat participants of these identities.
async fn conversation_with(system: &TestSystem, identities: &[&str]) -> String {
    let conversation = system.conversation(&[("UniqueName", "the one")]).await;
    let path = format!("/v1/Conversations/{conversation}/Participants");
    for identity in identities {
        let made = system.post(&path, &[("Identity", identity)]).await;
        made.expect(201);
    }
    conversation
}

/// The identities of a conversation, in the order in which they were added.
async fn identities(system: &TestSystem, conversation: &str) -> Vec<String> {
    let path = format!("/v1/Conversations/{conversation}/Participants");
    let rows = system.list(&path).await;
    rows.iter().map(|row| text(&row["identity"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decoded_path_names_what_the_caller_named() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    let conversation = conversation_with(&system, &["alice", "alice#2", "a λ;\"x\""]).await;
    let found = system.event(http_api("GET", "/v1/Conversations/the one"));
    assert_eq!(found.await.expect(200)["sid"], json!(conversation));

    let participants = format!("/v1/Conversations/{conversation}/Participants");
    let found = system.event(http_api("GET", &format!("{participants}/a λ;\"x\"")));
    assert_eq!(found.await.expect(200)["identity"], "a λ;\"x\"");
    let removed = system.event(http_api("DELETE", &format!("{participants}/alice#2")));
    removed.await.expect(204);
    let left = identities(&system, &conversation).await;
    assert_eq!(left, ["alice", "a λ;\"x\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoded_path_names_what_the_caller_named() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    let names = ["alice", "alice#2", "a%41", "aA", "b/2", "b"];
    let conversation = conversation_with(&system, &names).await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    for event in [watch, function_url] {
        let found = system.event(event("GET", "/v1/Conversations/the%20one"));
        assert_eq!(found.await.expect(200)["sid"], json!(conversation));
        let found = system.event(event("GET", &format!("{participants}/a%2541")));
        assert_eq!(found.await.expect(200)["identity"], "a%41");
    }
    let local = system.get(&format!("{participants}/a%2541")).await;
    assert_eq!(local.expect(200)["identity"], "a%41");

    let removed = system.event(watch("DELETE", &format!("{participants}/alice%232")));
    removed.await.expect(204);
    let removed = system.event(function_url("DELETE", &format!("{participants}/b%2F2")));
    removed.await.expect(204);
    let removed = system.delete(&format!("{participants}/a%2541")).await;
    removed.expect(204);
    let left = identities(&system, &conversation).await;
    assert_eq!(left, ["alice", "aA", "b"]);
}

/// API Gateway has decoded these paths, and each names what its text says as it arrived. A name with a `/` is out of reach,
/// except by its SID. Where API Gateway cut the path at a `?`, the text is that of another name, and that resource is
/// reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_read_as_it_arrived_also_where_its_escapes_are_lost() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    let names = ["alice", "alice/2", "alice?2", "aA"];
    let conversation = conversation_with(&system, &names).await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    for (path, status) in [
        // A slash in a name.
        ("/alice/2", 404),
        // Dots, which a URL library would resolve.
        ("/x/../alice", 404),
        ("/./alice", 404),
        ("/../../the one/Participants/alice", 404),
        ("/x\\..\\alice", 404),
        // Escapes that came through stand for themselves.
        ("/a%41", 404),
        ("/x/%2e%2e/alice", 404),
        // A question mark that came through begins no query.
        ("/alice?", 404),
        ("/alice?2", 204),
    ] {
        let answer = system.event(http_api("DELETE", &format!("{participants}{path}")));
        answer.await.expect(status);
    }
    let left = identities(&system, &conversation).await;
    assert_eq!(left, ["alice", "alice/2", "aA"]);
    for encoded in [watch, function_url] {
        for path in ["/x/%2e%2E/alice", "/.%2e/Participants/alice", "/%2E/alice"] {
            let answer = system.event(encoded("DELETE", &format!("{participants}{path}")));
            answer.await.expect(404);
        }
    }
    let by_sid = system.list(&participants).await;
    let by_sid = format!("{participants}/{}", text(&by_sid[1]["sid"]));
    let removed = system.event(http_api("DELETE", &by_sid)).await;
    removed.expect(204);
    assert_eq!(identities(&system, &conversation).await, ["alice", "aA"]);

    // The event of `…/alice%3F2` is that of `…/alice`: API Gateway cuts the path, and nothing else differs.
    let removed = system.event(http_api("DELETE", &format!("{participants}/alice")));
    removed.await.expect(204);
    assert_eq!(identities(&system, &conversation).await, ["aA"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_url_with_a_path_is_in_links_and_signatures_once() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    let public_url = "https://api.example.com/messages";
    let mapped = system.behind(&format!("{public_url}/"));
    system.autocreation(OURS).await;

    // A signed message.
    let message_sid = sid(1);
    let form = [
        ("AccountSid", TWILIO_ACCOUNT),
        ("Body", "hello"),
        ("From", ADA),
        ("MessageSid", &message_sid),
        ("To", OURS),
    ];
    let sign = |url: &str| signature::sign(TWILIO_TOKEN, url, form);
    for (signature, status) in [
        (
            sign(&format!("{public_url}/messages/inbound/twilio?a=%20b")),
            403,
        ),
        (sign("https://api.example.com/inbound/twilio?a=%20b"), 403),
        (sign(&format!("{public_url}/inbound/twilio?a=%20b")), 200),
    ] {
        let mut event = http_api("POST", "/messages/inbound/twilio");
        event["rawQueryString"] = "a=%20b".into();
        event["headers"]["x-twilio-signature"] = signature.into();
        event["body"] = encode(&form).into();
        let answer = mapped.event(event).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
    system.conversation(&[]).await;

    // Every URL of a list leads on.
    let below = |url: &Value| {
        let path = text(url);
        let path = path
            .strip_prefix("https://api.example.com")
            .map(str::to_owned);
        path.unwrap_or_else(|| panic!("{url} is not at the public URL"))
    };
    let event = |target: &str| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut event = http_api("GET", path);
        event["rawQueryString"] = query.into();
        mapped.event(event)
    };
    let first = event("/messages/v1/Conversations?PageSize=1")
        .await
        .expect(200);
    let next = below(&first["meta"]["next_page_url"]);
    assert!(next.starts_with("/messages/v1/Conversations?"), "{next}");
    let second = event(&next).await.expect(200);
    let conversation = only(second["conversations"].as_array().expect("rows").clone());
    let url = below(&conversation["url"]);
    assert_eq!(event(&url).await.expect(200), conversation);
    let messages = below(&conversation["links"]["messages"]);
    let messages = event(&messages).await.expect(200);
    assert_eq!(messages["messages"][0]["body"], "hello");

    // The API's own address still works.
    let own = http_api("GET", &text(&conversation["url"])[public_url.len()..]);
    assert_eq!(mapped.event(own).await.expect(200), conversation);
    assert!(!PUBLIC_URL.contains("messages"));
}
