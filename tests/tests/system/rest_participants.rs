//! `/v1/Conversations/{CH}/Participants` and `/v1/ParticipantConversations`: who takes part, and whom a pair belongs to.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, keys, only, seconds, text};
use tests::response::Response;
use tests::system::{ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    a_bound_pair_is_refused_and_the_holder_is_named,
    a_bound_pair_is_refused_in_the_same_conversation_too,
    a_proxy_may_have_many_addresses_and_an_address_many_proxies,
    a_pair_is_free_again_at_once,
    an_identity_is_once_in_a_conversation,
    a_participant_is_found_by_sid_and_by_identity,
    a_participant_of_another_conversation_is_not_found,
    an_update_changes_what_it_names_and_nothing_else,
    a_participant_moves_to_another_proxy,
    a_participant_does_not_move_to_a_bound_pair,
    a_removed_participant_is_gone,
    a_list_of_participants_is_read_to_its_end,
    a_conversation_takes_fifty_addresses,
    the_conversations_of_an_address_are_found,
    the_conversations_of_an_identity_are_found,
    the_conversations_of_a_participant_are_all_listed,
);

on_the_embedded_engine!(
    a_participant_has_exactly_the_documented_fields,
    a_chat_participant_has_an_identity_and_no_binding,
    a_whatsapp_participant_has_a_binding_of_that_type,
    an_invalid_participant_is_refused,
    an_address_never_changes,
    a_participant_without_an_address_takes_no_proxy,
    a_search_with_neither_or_both_of_address_and_identity_is_refused,
);

const OURS_TOO: &str = "+15550002223";

async fn a_participant_has_exactly_the_documented_fields(system: TestSystem) {
    system.number(OURS, &[]).await;
    let conversation = system.conversation(&[]).await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    let form = [
        ("MessagingBinding.Address", ADA),
        ("MessagingBinding.ProxyAddress", OURS),
        ("Attributes", r#"{"role":"driver"}"#),
    ];
    let made = system.post(&participants, &form).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert!(is_sid(&made["sid"], "MB"), "{made}");
    assert_eq!(made["account_sid"], ACCOUNT);
    assert_eq!(made["conversation_sid"], json!(conversation));
    assert_eq!(made["identity"], Value::Null);
    assert_eq!(made["attributes"], r#"{"role":"driver"}"#);
    assert_eq!(
        made["messaging_binding"],
        json!({"type": "sms", "address": ADA, "proxy_address": OURS})
    );
    assert_eq!(made["role_sid"], Value::Null);
    assert_eq!(made["last_read_message_index"], Value::Null);
    assert_eq!(made["last_read_timestamp"], Value::Null);
    assert_eq!(
        seconds(&made["date_created"]),
        seconds(&made["date_updated"])
    );
    let url = format!("{PUBLIC_URL}{participants}/{}", text(&made["sid"]));
    assert_eq!(made["url"], json!(url));
    assert_eq!(system.get(&url).await.expect(200), made);
    assert_eq!(only(system.participants(&conversation).await), made);
}

const FIELDS: [&str; 12] = [
    "account_sid",
    "attributes",
    "conversation_sid",
    "date_created",
    "date_updated",
    "identity",
    "last_read_message_index",
    "last_read_timestamp",
    "messaging_binding",
    "role_sid",
    "sid",
    "url",
];

async fn a_chat_participant_has_an_identity_and_no_binding(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let made = join(&system, &conversation, "carol").await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert_eq!(made["identity"], "carol");
    assert_eq!(made["messaging_binding"], Value::Null);
    assert_eq!(made["attributes"], "{}");
    assert_eq!(only(system.participants(&conversation).await), made);
}

async fn a_whatsapp_participant_has_a_binding_of_that_type(system: TestSystem) {
    let (ours, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    system.autocreation(&ours).await;
    let conversation = system.conversation(&[]).await;
    let made = system
        .add_participant(&conversation, &ada, &ours)
        .await
        .expect(201);
    assert_eq!(
        made["messaging_binding"],
        json!({"type": "whatsapp", "address": ada, "proxy_address": ours})
    );
}

async fn an_invalid_participant_is_refused(system: TestSystem) {
    const ADDRESS: &str = "MessagingBinding.Address";
    const PROXY: &str = "MessagingBinding.ProxyAddress";
    system.number(OURS, &[]).await;
    system.number(OURS_TOO, &[]).await;
    system.autocreation(&format!("whatsapp:{OURS}")).await;
    let (whatsapp_ada, whatsapp_other) = (format!("whatsapp:{ADA}"), "whatsapp:+15550009999");
    let long = "1".repeat(300);
    let conversation = system.conversation(&[]).await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    let check = async |form: &[(&str, &str)], status: u16, code: u64| {
        let answer = system.post(&participants, form).await;
        assert_eq!(answer.status, status, "{form:?}: {}", answer.text());
        let error = answer.json();
        assert_eq!(error["code"], code, "{form:?}: {error}");
        assert_eq!(error["status"], status, "{form:?}: {error}");
        let more = format!("/{code}");
        assert!(text(&error["more_info"]).ends_with(&more), "{error}");
    };
    // Neither, and both.
    check(&[], 400, 50204).await;
    check(&[("Attributes", "{}")], 400, 50204).await;
    let carol = ("Identity", "carol");
    check(&[carol, (ADDRESS, ADA), (PROXY, OURS)], 400, 50211).await;
    // Empty.
    check(&[(ADDRESS, ""), (PROXY, OURS)], 400, 50411).await;
    check(&[(ADDRESS, ADA), (PROXY, "")], 400, 50412).await;
    // Malformed.
    for address in [
        "ada",
        "+",
        "15550001111",
        "+1555000111x",
        "whatsapp:",
        &long,
    ] {
        check(&[(ADDRESS, address), (PROXY, OURS)], 400, 50407).await;
    }
    for proxy in ["our number!", "+", "+1555000222x", &long] {
        check(&[(ADDRESS, ADA), (PROXY, proxy)], 400, 50408).await;
    }
    // Ours as a consumer, and ours with itself.
    check(&[(ADDRESS, OURS_TOO), (PROXY, OURS)], 400, 50407).await;
    check(&[(ADDRESS, OURS), (PROXY, OURS)], 400, 50409).await;
    // Not ours.
    check(&[(ADDRESS, ADA), (PROXY, "+15550009999")], 403, 50413).await;
    check(&[(ADDRESS, ADA), (PROXY, BOB)], 403, 50413).await;
    check(
        &[(ADDRESS, &whatsapp_ada), (PROXY, whatsapp_other)],
        400,
        50415,
    )
    .await;
    // Not of one channel.
    check(&[(ADDRESS, &whatsapp_ada), (PROXY, OURS)], 400, 50414).await;
    let whatsapp_ours = format!("whatsapp:{OURS}");
    check(&[(ADDRESS, ADA), (PROXY, &whatsapp_ours)], 400, 50414).await;

    assert_eq!(system.participants(&conversation).await.len(), 0);
    // None of them holds anything.
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
}

async fn a_bound_pair_is_refused_and_the_holder_is_named(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (holder, _) = system.bind(ADA, OURS).await;
    for state in ["active", "inactive"] {
        let state = [("State", state)];
        system
            .update_conversation(&holder, &state)
            .await
            .expect(200);
        let conversation = system.conversation(&[]).await;
        let answer = system.add_participant(&conversation, ADA, OURS).await;
        let error = answer.expect_code(409, 50416);
        let message = text(&error["message"]);
        let sentence = format!(
            "a binding for this participant and proxy address already exists in conversation {}",
            holder.to_lowercase()
        );
        assert!(message.to_lowercase().contains(&sentence), "{message}");
        assert!(
            message.contains(&format!("Conversation {holder}")),
            "{message}"
        );
        let details = &error["details"];
        assert!(details.is_object(), "{error}");
        assert!(details.to_string().contains(&holder), "{error}");
        assert_eq!(
            keys(&error),
            ["code", "details", "message", "more_info", "status"]
        );
        assert_eq!(system.participants(&conversation).await.len(), 0);
    }
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(system.bodies(&holder).await, ["hello"]);
}

async fn a_bound_pair_is_refused_in_the_same_conversation_too(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let error = system.add_participant(&conversation, ADA, OURS).await;
    let error = error.expect_code(409, 50416);
    let holder = format!("Conversation {conversation}");
    assert!(text(&error["message"]).contains(&holder), "{error}");
    assert_eq!(system.participants(&conversation).await.len(), 1);
}

async fn a_proxy_may_have_many_addresses_and_an_address_many_proxies(system: TestSystem) {
    system.number(OURS, &[]).await;
    system.number(OURS_TOO, &[]).await;
    let mut conversations = Vec::new();
    for (address, proxy) in [(ADA, OURS), (ADA, OURS_TOO), (BOB, OURS), (BOB, OURS_TOO)] {
        conversations.push((address, proxy, system.bind(address, proxy).await.0));
    }
    for (number, (address, proxy, _)) in (0..).zip(&conversations) {
        system.message(&sid(number), address, proxy, proxy).await;
    }
    for (_, proxy, conversation) in &conversations {
        assert_eq!(system.bodies(conversation).await, [*proxy]);
    }
    // In one conversation too.
    let conversation = system.conversation(&[]).await;
    let carol = "+15550001113";
    for (address, proxy) in [(carol, OURS), ("+15550001114", OURS), (carol, OURS_TOO)] {
        system
            .add_participant(&conversation, address, proxy)
            .await
            .expect(201);
    }
    assert_eq!(system.participants(&conversation).await.len(), 3);
}

async fn a_pair_is_free_again_at_once(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (mut holder, mut participant) = system.bind(ADA, OURS).await;
    for released_by in ["removal", "close", "deletion", "removal"] {
        let path = format!("/v1/Conversations/{holder}");
        let next = system.conversation(&[]).await;
        let answer = system.add_participant(&next, ADA, OURS).await;
        answer.expect_code(409, 50416);
        match released_by {
            "removal" => system
                .delete(&format!("{path}/Participants/{participant}"))
                .await
                .expect(204),
            "close" => system.post(&path, &[("State", "closed")]).await.expect(200),
            _ => system.delete(&path).await.expect(204),
        };
        let added = system.add_participant(&next, ADA, OURS).await;
        participant = text(&added.expect(201)["sid"]);
        holder = next;
    }
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(system.bodies(&holder).await, ["hello"]);
}

async fn an_identity_is_once_in_a_conversation(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let carol = join(&system, &conversation, "carol").await.expect(201);
    let again = async || join(&system, &conversation, "carol").await;
    again().await.expect_code(409, 50433);
    assert_eq!(system.participants(&conversation).await.len(), 1);
    // Another person, another conversation, and later, are no conflict.
    join(&system, &conversation, "Carol2").await.expect(201);
    let elsewhere = system.conversation(&[]).await;
    join(&system, &elsewhere, "carol").await.expect(201);
    let path = format!(
        "/v1/Conversations/{conversation}/Participants/{}",
        text(&carol["sid"])
    );
    system.delete(&path).await.expect(204);
    let new = again().await.expect(201);
    assert_ne!(new["sid"], carol["sid"]);
}

async fn a_participant_is_found_by_sid_and_by_identity(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let carol = "carol/o'neil@example.com";
    let made = join(&system, &conversation, carol).await.expect(201);
    join(&system, &conversation, "dave").await.expect(201);
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    let by_name = format!("{participants}/carol%2Fo%27neil%40example.com");
    assert_eq!(system.get(&by_name).await.expect(200), made);
    let form = [("Attributes", r#"{"by":"name"}"#)];
    let updated = system.post(&by_name, &form).await.expect(200);
    assert_eq!(updated["sid"], made["sid"]);
    assert_eq!(updated["attributes"], r#"{"by":"name"}"#);
    let by_sid = format!("{participants}/{}", text(&made["sid"]));
    assert_eq!(system.get(&by_sid).await.expect(200), updated);
    system.delete(&by_name).await.expect(204);
    system.get(&by_name).await.expect_code(404, 20404);
    system.get(&by_sid).await.expect_code(404, 20404);
    let left = only(system.participants(&conversation).await);
    assert_eq!(left["identity"], "dave");
}

async fn a_participant_of_another_conversation_is_not_found(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (_, participant) = system.bind(ADA, OURS).await;
    let elsewhere = system.conversation(&[]).await;
    let form = [("Attributes", "{}")];
    for name in [&participant, "MB00000000000000000000000000000000", "carol"] {
        let path = format!("/v1/Conversations/{elsewhere}/Participants/{name}");
        system.get(&path).await.expect_code(404, 20404);
        system.post(&path, &form).await.expect_code(404, 20404);
        system.delete(&path).await.expect_code(404, 20404);
    }
    let nowhere = "/v1/Conversations/CH00000000000000000000000000000000/Participants";
    system.get(nowhere).await.expect_code(404, 20404);
    let form = [("Identity", "carol")];
    system.post(nowhere, &form).await.expect_code(404, 20404);
}

async fn an_update_changes_what_it_names_and_nothing_else(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    let mut expected = system.get(&path).await.expect(200);
    for (parameter, key, value, shown) in [
        (
            "Attributes",
            "attributes",
            r#"{"a":1}"#,
            json!(r#"{"a":1}"#),
        ),
        (
            "LastReadMessageIndex",
            "last_read_message_index",
            "0",
            json!(0),
        ),
        (
            "LastReadTimestamp",
            "last_read_timestamp",
            "2026-01-02T03:04:05Z",
            json!("2026-01-02T03:04:05Z"),
        ),
    ] {
        system.advance(Duration::from_secs(2));
        let updated = system.post(&path, &[(parameter, value)]).await.expect(200);
        let before = seconds(&expected["date_updated"]);
        assert!(seconds(&updated["date_updated"]) > before, "{updated}");
        expected["date_updated"] = updated["date_updated"].clone();
        if key == "last_read_message_index" {
            // The time of reading may come with the index.
            expected["last_read_timestamp"] = updated["last_read_timestamp"].clone();
        }
        expected[key] = shown;
        assert_eq!(updated, expected, "{parameter}");
        assert_eq!(system.get(&path).await.expect(200), expected);
    }
    for form in [
        [("LastReadMessageIndex", "one")],
        [("LastReadMessageIndex", "-2")],
        [("LastReadTimestamp", "yesterday")],
    ] {
        let answer = system.post(&path, &form).await;
        assert_eq!(answer.expect(400)["status"], 400, "{form:?}");
    }
    assert_eq!(system.get(&path).await.expect(200), expected);
}

async fn an_address_never_changes(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    // No parameter of an update: ignored or refused, and without effect.
    let form = [("MessagingBinding.Address", BOB), ("Attributes", "{}")];
    let answer = system.post(&path, &form).await;
    assert!(!answer.status.is_server_error(), "{}", answer.text());
    let binding = &system.get(&path).await.expect(200)["messaging_binding"];
    assert_eq!(binding["address"], ADA);
    system.message(&sid(1), BOB, OURS, "Bob").await;
    system.message(&sid(2), ADA, OURS, "Ada").await;
    assert_eq!(system.bodies(&conversation).await, ["Ada"]);
}

async fn a_participant_moves_to_another_proxy(system: TestSystem) {
    system.number(OURS, &[]).await;
    system.number(OURS_TOO, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    let form = [("MessagingBinding.ProxyAddress", OURS_TOO)];
    let moved = system.post(&path, &form).await.expect(200);
    assert_eq!(
        moved["messaging_binding"],
        json!({"type": "sms", "address": ADA, "proxy_address": OURS_TOO})
    );
    assert_eq!(system.get(&path).await.expect(200), moved);
    system.message(&sid(1), ADA, OURS, "to the old").await;
    system.message(&sid(2), ADA, OURS_TOO, "to the new").await;
    assert_eq!(system.bodies(&conversation).await, ["to the new"]);
    // The old pair is free, the new one is taken.
    let elsewhere = system.conversation(&[]).await;
    let answer = system.add_participant(&elsewhere, ADA, OURS_TOO).await;
    answer.expect_code(409, 50416);
    system
        .add_participant(&elsewhere, ADA, OURS)
        .await
        .expect(201);
}

async fn a_participant_does_not_move_to_a_bound_pair(system: TestSystem) {
    system.number(OURS, &[]).await;
    system.number(OURS_TOO, &[]).await;
    let (holder, _) = system.bind(ADA, OURS_TOO).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    let before = system.get(&path).await.expect(200);
    let form = [("MessagingBinding.ProxyAddress", OURS_TOO)];
    let error = system.post(&path, &form).await.expect_code(409, 50416);
    let named = format!("Conversation {holder}");
    assert!(text(&error["message"]).contains(&named), "{error}");
    for (proxy, status, code) in [
        ("+15550009999", 403, 50413),
        ("+1555000222x", 400, 50408),
        (ADA, 400, 50409),
    ] {
        let form = [("MessagingBinding.ProxyAddress", proxy)];
        let answer = system.post(&path, &form).await;
        answer.expect_code(status, code);
    }
    assert_eq!(system.get(&path).await.expect(200), before);
    system.message(&sid(1), ADA, OURS, "here").await;
    system.message(&sid(2), ADA, OURS_TOO, "there").await;
    assert_eq!(system.bodies(&conversation).await, ["here"]);
    assert_eq!(system.bodies(&holder).await, ["there"]);
}

async fn a_participant_without_an_address_takes_no_proxy(system: TestSystem) {
    system.number(OURS, &[]).await;
    let conversation = system.conversation(&[]).await;
    join(&system, &conversation, "carol").await.expect(201);
    let path = format!("/v1/Conversations/{conversation}/Participants/carol");
    let form = [("MessagingBinding.ProxyAddress", OURS)];
    system.post(&path, &form).await.expect_code(400, 50441);
    let carol = system.get(&path).await.expect(200);
    assert_eq!(carol["messaging_binding"], Value::Null);
}

async fn a_removed_participant_is_gone(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    let answer = system.delete(&path).await;
    assert!(answer.body.is_empty(), "{}", answer.text());
    answer.expect(204);
    system.get(&path).await.expect_code(404, 20404);
    system.delete(&path).await.expect_code(404, 20404);
    let form = [("Attributes", "{}")];
    system.post(&path, &form).await.expect_code(404, 20404);
    assert_eq!(system.participants(&conversation).await.len(), 0);
    // What was said stays said.
    let message = only(system.messages(&conversation).await);
    assert_eq!(message["author"], ADA);
    // A phone that comes back is a new participant.
    let again = system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    assert_ne!(again["sid"], json!(participant));
}

async fn a_list_of_participants_is_read_to_its_end(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let mut expected = Vec::new();
    for number in 0..13 {
        let identity = format!("person {number}");
        let made = join(&system, &conversation, &identity).await.expect(201);
        expected.push(text(&made["sid"]));
    }
    expected.sort();
    let path = format!("/v1/Conversations/{conversation}/Participants");
    for size in [13, 5, 1] {
        let rows = system.list(&format!("{path}?PageSize={size}")).await;
        let mut sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
        sids.sort();
        assert_eq!(sids, expected, "PageSize={size}");
    }
    let page = system.get(&path).await.expect(200);
    assert_eq!(keys(&page), ["meta", "participants"]);
    assert_eq!(page["meta"]["key"], "participants");
    assert_eq!(page["meta"]["page_size"], 50);
    let page = system.get(&format!("{path}?PageSize=500")).await;
    assert_eq!(page.expect(200)["meta"]["page_size"], 100);
}

async fn a_conversation_takes_fifty_addresses(system: TestSystem) {
    system.number(OURS, &[]).await;
    let conversation = system.conversation(&[]).await;
    let address = |number: u64| format!("+1555001{number:04}");
    let mut last = String::new();
    for number in 0..50 {
        let added = system
            .add_participant(&conversation, &address(number), OURS)
            .await;
        last = text(&added.expect(201)["sid"]);
    }
    let answer = system
        .add_participant(&conversation, &address(50), OURS)
        .await;
    let error = answer.expect(400);
    let code = error["code"].as_u64();
    assert!(matches!(code, Some(50418 | 50422)), "{error}");
    assert_eq!(system.participants(&conversation).await.len(), 50);
    // Messages still come in, chat participants still join, and who leaves makes room.
    let from = address(49);
    assert!(
        system
            .message(&sid(1), &from, OURS, "hello")
            .await
            .accepted()
    );
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
    join(&system, &conversation, "carol").await.expect(201);
    let path = format!("/v1/Conversations/{conversation}/Participants/{last}");
    system.delete(&path).await.expect(204);
    let answer = system
        .add_participant(&conversation, &address(50), OURS)
        .await;
    answer.expect(201);
}

async fn the_conversations_of_an_address_are_found(system: TestSystem) {
    system.number(OURS, &[]).await;
    let form = [
        ("FriendlyName", "Ada's"),
        ("UniqueName", "ada"),
        ("Attributes", r#"{"a":1}"#),
        ("Timers.Closed", "P1D"),
    ];
    let conversation = system.conversation(&form).await;
    let added = system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    system.bind(BOB, OURS).await;
    let path = "/v1/ParticipantConversations?Address=%2B15550001111";
    let page = system.get(path).await.expect(200);
    assert_eq!(keys(&page), ["conversations", "meta"]);
    assert_eq!(page["meta"]["key"], "conversations");
    let row = only(system.list(path).await);
    assert_eq!(
        keys(&row),
        [
            "account_sid",
            "chat_service_sid",
            "conversation_attributes",
            "conversation_created_by",
            "conversation_date_created",
            "conversation_date_updated",
            "conversation_friendly_name",
            "conversation_sid",
            "conversation_state",
            "conversation_timers",
            "conversation_unique_name",
            "links",
            "participant_identity",
            "participant_messaging_binding",
            "participant_sid",
            "participant_user_sid",
        ]
    );
    let held = system.fetch_conversation(&conversation).await;
    for (key, value) in [
        ("account_sid", json!(ACCOUNT)),
        ("chat_service_sid", held["chat_service_sid"].clone()),
        ("participant_sid", added["sid"].clone()),
        ("participant_user_sid", Value::Null),
        ("participant_identity", Value::Null),
        ("conversation_sid", held["sid"].clone()),
        ("conversation_friendly_name", json!("Ada's")),
        ("conversation_unique_name", json!("ada")),
        ("conversation_attributes", json!(r#"{"a":1}"#)),
        ("conversation_state", json!("active")),
        ("conversation_timers", held["timers"].clone()),
        ("conversation_date_created", held["date_created"].clone()),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    let binding = &row["participant_messaging_binding"];
    assert_eq!(binding["type"], "sms");
    assert_eq!(binding["address"], ADA);
    assert_eq!(binding["proxy_address"], OURS);
    assert_eq!(
        row["links"],
        json!({"conversation": held["url"], "participant": added["url"]})
    );
}

async fn the_conversations_of_an_identity_are_found(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..3 {
        let conversation = system.conversation(&[]).await;
        join(&system, &conversation, "carol").await.expect(201);
        join(&system, &conversation, "dave").await.expect(201);
        expected.push(conversation);
    }
    expected.sort();
    let rows = system
        .list("/v1/ParticipantConversations?Identity=carol&PageSize=2")
        .await;
    let sids: Vec<_> = rows
        .iter()
        .map(|row| text(&row["conversation_sid"]))
        .collect();
    assert_eq!(sids, expected);
    for row in rows {
        assert_eq!(row["participant_identity"], "carol");
        assert_eq!(row["participant_messaging_binding"], Value::Null);
    }
}

async fn the_conversations_of_a_participant_are_all_listed(system: TestSystem) {
    system.autocreation(OURS).await;
    // Closed ones are listed, deleted ones and those that were left are not.
    let mut expected = Vec::new();
    for end in ["closed", "left", "closed", "deleted", "closed", "none"] {
        let (conversation, participant) = system.bind(ADA, OURS).await;
        let path = format!("/v1/Conversations/{conversation}");
        match end {
            "closed" => {
                let closed = [("State", "closed")];
                system.post(&path, &closed).await.expect(200);
                expected.push((conversation, "closed"));
            }
            "left" => {
                let path = format!("{path}/Participants/{participant}");
                system.delete(&path).await.expect(204);
            }
            "deleted" => {
                system.delete(&path).await.expect(204);
            }
            _ => expected.push((conversation, "active")),
        }
    }
    expected.sort();
    for size in [1, 2, 50] {
        let path = format!("/v1/ParticipantConversations?Address=%2B15550001111&PageSize={size}");
        let rows = system.list(&path).await;
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    text(&row["conversation_sid"]),
                    text(&row["conversation_state"]),
                )
            })
            .collect();
        let rows: Vec<_> = rows
            .iter()
            .map(|(sid, state)| (sid.clone(), state.as_str()))
            .collect();
        assert_eq!(rows, expected, "PageSize={size}");
    }
    let path = "/v1/ParticipantConversations?Address=%2B15550001111&PageSize=500";
    let page = system.get(path).await.expect(200);
    assert_eq!(page["meta"]["page_size"], 50);
    // The address is matched exactly: one is the other's beginning.
    for address in ["+4930123456", "+49301234567"] {
        system.bind(address, OURS).await;
    }
    let path = "/v1/ParticipantConversations?Address=%2B4930123456";
    assert_eq!(system.list(path).await.len(), 1);
    // An autocreated one is found like others.
    system.message(&sid(1), BOB, OURS, "hello").await;
    let path = "/v1/ParticipantConversations?Address=%2B15550001112";
    assert_eq!(system.list(path).await.len(), 1);
}

async fn a_search_with_neither_or_both_of_address_and_identity_is_refused(system: TestSystem) {
    let path = "/v1/ParticipantConversations";
    let answer = system
        .get(&format!("{path}?Identity=carol&Address=%2B15550001111"))
        .await;
    answer.expect_code(400, 50451);
    assert_eq!(system.get(path).await.expect(400)["status"], 400);
    let none = system.list(&format!("{path}?Identity=nobody")).await;
    assert_eq!(none.len(), 0);
}

/// Adds a chat participant.
async fn join(system: &TestSystem, conversation: &str, identity: &str) -> Response {
    let path = format!("/v1/Conversations/{conversation}/Participants");
    system.post(&path, &[("Identity", identity)]).await
}
