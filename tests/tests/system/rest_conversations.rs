//! `/v1/Conversations`: what the resource looks like, its names, its states and timers, its lists, its end.

mod lists;
mod timers;

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, keys, only, seconds, text};
use tests::response::Response;
use tests::system::{ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    an_update_changes_what_it_names_and_nothing_else,
    a_unique_name_stands_for_the_sid,
    a_unique_name_belongs_to_one_conversation,
    a_conversation_changes_between_active_and_inactive_as_often_as_asked,
    a_closed_conversation_changes_no_more,
    a_closed_conversation_can_be_read_and_deleted,
    a_deleted_conversation_is_gone_with_all_it_had,
    an_unknown_conversation_is_not_found,
);

on_the_embedded_engine!(
    a_conversation_has_exactly_the_documented_fields,
    a_conversation_needs_nothing,
    a_parameter_that_we_do_not_know_is_ignored,
    a_unique_name_may_not_look_like_a_sid,
    a_conversation_starts_active_or_inactive,
);

const CONVERSATIONS: &str = "/v1/Conversations";

async fn a_conversation_has_exactly_the_documented_fields(system: TestSystem) {
    let form = [
        ("FriendlyName", "My first conversation"),
        ("UniqueName", "first_conversation"),
        ("Attributes", r#"{ "topic": "feedback" }"#),
        ("State", "active"),
        ("Timers.Inactive", "PT1M"),
        ("Timers.Closed", "PT10M"),
    ];
    let made = system.post(CONVERSATIONS, &form).await.expect(201);
    assert_eq!(
        keys(&made),
        [
            "account_sid",
            "attributes",
            "bindings",
            "chat_service_sid",
            "date_created",
            "date_updated",
            "friendly_name",
            "links",
            "messaging_service_sid",
            "sid",
            "state",
            "timers",
            "unique_name",
            "url",
        ]
    );
    assert!(is_sid(&made["sid"], "CH"), "{made}");
    assert!(is_sid(&made["chat_service_sid"], "IS"), "{made}");
    assert!(is_sid(&made["messaging_service_sid"], "MG"), "{made}");
    assert_eq!(made["account_sid"], ACCOUNT);
    assert_eq!(made["friendly_name"], "My first conversation");
    assert_eq!(made["unique_name"], "first_conversation");
    let attributes: Value = serde_json::from_str(&text(&made["attributes"])).expect("JSON");
    assert_eq!(attributes, json!({"topic": "feedback"}));
    assert_eq!(made["state"], "active");
    assert_eq!(made["bindings"], json!({}));
    assert_eq!(keys(&made["timers"]), ["date_closed", "date_inactive"]);
    let created = seconds(&made["date_created"]);
    assert_eq!(seconds(&made["date_updated"]), created);
    assert_eq!(seconds(&made["timers"]["date_inactive"]), created + 60);
    assert_eq!(seconds(&made["timers"]["date_closed"]), created + 600);
    let url = format!("{PUBLIC_URL}/v1/Conversations/{}", text(&made["sid"]));
    assert_eq!(made["url"], json!(url));
    assert_eq!(
        made["links"],
        json!({
            "participants": format!("{url}/Participants"),
            "messages": format!("{url}/Messages"),
            "webhooks": format!("{url}/Webhooks"),
            "export": format!("{url}/Export"),
        })
    );
    assert_eq!(system.get(&url).await.expect(200), made);
    assert_eq!(only(system.conversations().await), made);
}

async fn a_conversation_needs_nothing(system: TestSystem) {
    let made = system.post(CONVERSATIONS, &[]).await.expect(201);
    assert_eq!(made["friendly_name"], Value::Null);
    assert_eq!(made["unique_name"], Value::Null);
    assert_eq!(made["attributes"], "{}");
    assert_eq!(made["state"], "active");
    assert_eq!(made["timers"], json!({}));
    let sid = text(&made["sid"]);
    assert_eq!(system.participants(&sid).await.len(), 0);
    assert_eq!(system.messages(&sid).await.len(), 0);
}

async fn an_update_changes_what_it_names_and_nothing_else(system: TestSystem) {
    let form = [
        ("FriendlyName", "before"),
        ("UniqueName", "before"),
        ("Attributes", r#"{"before":1}"#),
        ("Timers.Closed", "P1D"),
    ];
    let mut expected = system.post(CONVERSATIONS, &form).await.expect(201);
    let sid = text(&expected["sid"]);
    for (parameter, key, value) in [
        ("FriendlyName", "friendly_name", "after"),
        ("UniqueName", "unique_name", "after"),
        ("Attributes", "attributes", r#"{"after":2}"#),
        ("FriendlyName", "friendly_name", ""),
    ] {
        system.advance(Duration::from_secs(2));
        let updated = system
            .update_conversation(&sid, &[(parameter, value)])
            .await
            .expect(200);
        let before = seconds(&expected["date_updated"]);
        assert!(seconds(&updated["date_updated"]) > before, "{updated}");
        expected[key] = json!(value);
        for moves in ["date_updated", "timers"] {
            expected[moves] = updated[moves].clone();
        }
        if value.is_empty() && updated[key].is_null() {
            // An empty name is none.
            expected[key] = Value::Null;
        }
        assert_eq!(updated, expected);
        assert_eq!(system.fetch_conversation(&sid).await, expected);
    }
    assert_eq!(keys(&expected["timers"]), ["date_closed"]);
}

async fn a_parameter_that_we_do_not_know_is_ignored(system: TestSystem) {
    let form = [("FriendlyName", "known"), ("Colour", "green")];
    let made = system.post(CONVERSATIONS, &form).await.expect(201);
    assert_eq!(made["friendly_name"], "known");
    let sid = text(&made["sid"]);
    let updated = system.update_conversation(&sid, &form).await.expect(200);
    assert_eq!(updated["friendly_name"], "known");
}

async fn a_unique_name_stands_for_the_sid(system: TestSystem) {
    system.number(OURS, &[]).await;
    let form = [("UniqueName", "order 17/b")];
    let sid = system.conversation(&form).await;
    let path = "/v1/Conversations/order%2017%2Fb";
    assert_eq!(system.get(path).await.expect(200)["sid"], json!(sid));
    let form = [("FriendlyName", "by name")];
    let updated = system.post(path, &form).await.expect(200);
    assert_eq!(updated["sid"], json!(sid));
    assert_eq!(updated["friendly_name"], "by name");

    let form = [("Body", "by name")];
    let messages = format!("{path}/Messages");
    let message = system.post(&messages, &form).await.expect(201);
    assert_eq!(message["conversation_sid"], json!(sid));
    assert_eq!(system.list(&messages).await.len(), 1);

    system.delete(path).await.expect(204);
    system.get(path).await.expect_code(404, 20404);
    let path = format!("/v1/Conversations/{sid}");
    system.get(&path).await.expect_code(404, 20404);
}

async fn a_unique_name_belongs_to_one_conversation(system: TestSystem) {
    let name = [("UniqueName", "the one")];
    let first = system.conversation(&name).await;
    let second = system.conversation(&[]).await;
    let taken = |answer: Response| answer.expect_code(409, 50353);
    taken(system.post(CONVERSATIONS, &name).await);
    taken(system.update_conversation(&second, &name).await);
    assert_eq!(system.conversations().await.len(), 2);
    assert_eq!(
        system.fetch_conversation(&second).await["unique_name"],
        Value::Null
    );
    // Its own name is no conflict.
    system.update_conversation(&first, &name).await.expect(200);

    // Another name sets it free, and so does deletion.
    let another = [("UniqueName", "another")];
    system
        .update_conversation(&first, &another)
        .await
        .expect(200);
    system.update_conversation(&second, &name).await.expect(200);
    let path = "/v1/Conversations/the%20one";
    assert_eq!(system.get(path).await.expect(200)["sid"], json!(second));
    taken(system.update_conversation(&first, &name).await);
    system.delete(path).await.expect(204);
    system.update_conversation(&first, &name).await.expect(200);
    assert_eq!(system.get(path).await.expect(200)["sid"], json!(first));
    system.post(CONVERSATIONS, &another).await.expect(201);
}

async fn a_unique_name_may_not_look_like_a_sid(system: TestSystem) {
    let name = [("UniqueName", "CH0123456789abcdef0123456789abcdef")];
    let answer = system.post(CONVERSATIONS, &name).await;
    answer.expect_code(400, 50390);
    let sid = system.conversation(&[]).await;
    let answer = system.update_conversation(&sid, &name).await;
    answer.expect_code(400, 50390);
    assert_eq!(
        system.fetch_conversation(&sid).await["unique_name"],
        Value::Null
    );
    // Nearly one is a name like others.
    for name in ["CH0123456789abcdef", "IM0123456789abcdef0123456789abcdef"] {
        system.conversation(&[("UniqueName", name)]).await;
    }
}

async fn a_conversation_starts_active_or_inactive(system: TestSystem) {
    for (state, expected) in [
        ("active", "active"),
        ("inactive", "inactive"),
        ("Active", "active"),
        ("INACTIVE", "inactive"),
    ] {
        let made = system.post(CONVERSATIONS, &[("State", state)]).await;
        assert_eq!(made.expect(201)["state"], expected, "{state}");
    }
    for (state, code) in [
        ("closed", 50384),
        ("", 50374),
        ("open", 50378),
        ("initializing", 50378),
    ] {
        let answer = system.post(CONVERSATIONS, &[("State", state)]).await;
        answer.expect_code(400, code);
    }
    assert_eq!(system.conversations().await.len(), 4);
}

async fn a_conversation_changes_between_active_and_inactive_as_often_as_asked(system: TestSystem) {
    let sid = system.conversation(&[]).await;
    for state in ["inactive", "inactive", "active", "active", "Inactive"] {
        let updated = system
            .update_conversation(&sid, &[("State", state)])
            .await
            .expect(200);
        assert_eq!(updated["state"], json!(state.to_lowercase()));
        assert_eq!(
            system.fetch_conversation(&sid).await["state"],
            updated["state"]
        );
    }
    for (state, code) in [("", 50374), ("open", 50378), ("initializing", 50378)] {
        let answer = system.update_conversation(&sid, &[("State", state)]).await;
        answer.expect_code(400, code);
    }
    assert_eq!(system.fetch_conversation(&sid).await["state"], "inactive");
    let updated = system
        .update_conversation(&sid, &[("State", "closed")])
        .await;
    assert_eq!(updated.expect(200)["state"], "closed");
}

async fn a_closed_conversation_changes_no_more(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (sid, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{sid}");
    let form = [("Body", "hello")];
    let messages = format!("{path}/Messages");
    let message = system.post(&messages, &form).await.expect(201);
    let closed = system
        .update_conversation(&sid, &[("State", "closed")])
        .await
        .expect(200);

    for change in [
        ("State", "active"),
        ("State", "inactive"),
        ("State", "closed"),
        ("FriendlyName", "again"),
        ("UniqueName", "again"),
        ("Attributes", r#"{"again":1}"#),
        ("Timers.Inactive", "PT1M"),
        ("Timers.Closed", "PT10M"),
    ] {
        let answer = system.update_conversation(&sid, &[change]).await;
        answer.expect_code(400, 50377);
    }
    let participants = format!("{path}/Participants");
    let one = format!("{participants}/{participant}");
    let attributes = [("Attributes", r#"{"again":1}"#)];
    let message = format!("{messages}/{}", text(&message["sid"]));
    for answer in [
        system.add_participant(&sid, BOB, OURS).await,
        system.add_participant(&sid, ADA, OURS).await,
        system.post(&participants, &[("Identity", "carol")]).await,
        system.post(&one, &attributes).await,
        system.delete(&one).await,
        system.post(&messages, &form).await,
        system.post(&message, &attributes).await,
    ] {
        answer.expect_code(400, 50377);
    }
    assert_eq!(system.fetch_conversation(&sid).await, closed);
    assert_eq!(system.participants(&sid).await.len(), 1);
    assert_eq!(system.bodies(&sid).await, ["hello"]);
}

async fn a_closed_conversation_can_be_read_and_deleted(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let sid = text(&only(system.conversations().await)["sid"]);
    system
        .update_conversation(&sid, &[("State", "closed")])
        .await
        .expect(200);
    assert_eq!(system.fetch_conversation(&sid).await["state"], "closed");
    assert_eq!(system.bodies(&sid).await, ["hello"]);
    assert_eq!(system.participants(&sid).await.len(), 1);
    let path = format!("/v1/Conversations/{sid}");
    system.delete(&path).await.expect(204);
    system.get(&path).await.expect_code(404, 20404);
}

async fn a_deleted_conversation_is_gone_with_all_it_had(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (sid, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{sid}");
    let messages = format!("{path}/Messages");
    let form = [("Body", "hello")];
    let message = system.post(&messages, &form).await.expect(201);
    let message = text(&message["sid"]);
    let answer = system.delete(&path).await;
    assert!(answer.body.is_empty(), "{}", answer.text());
    answer.expect(204);

    let name = [("FriendlyName", "again")];
    for path in [
        path.clone(),
        format!("{path}/Participants"),
        format!("{path}/Participants/{participant}"),
        format!("{path}/Messages"),
        format!("{path}/Messages/{message}"),
    ] {
        system.get(&path).await.expect_code(404, 20404);
    }
    system.delete(&path).await.expect_code(404, 20404);
    system.post(&path, &name).await.expect_code(404, 20404);
    system.post(&messages, &form).await.expect_code(404, 20404);
    let answer = system.add_participant(&sid, BOB, OURS).await;
    answer.expect_code(404, 20404);
    assert_eq!(system.conversations().await.len(), 0);
}

async fn an_unknown_conversation_is_not_found(system: TestSystem) {
    for name in [
        "CH00000000000000000000000000000000",
        "a name without a conversation".replace(' ', "%20").as_str(),
        &"x".repeat(5_000),
    ] {
        let path = format!("/v1/Conversations/{name}");
        let error = system.get(&path).await.expect_code(404, 20404);
        assert_eq!(keys(&error)[..], ["code", "message", "more_info", "status"]);
        assert!(text(&error["more_info"]).ends_with("20404"), "{error}");
        system.delete(&path).await.expect_code(404, 20404);
        let form = [("FriendlyName", "nobody")];
        system.post(&path, &form).await.expect_code(404, 20404);
    }
}
