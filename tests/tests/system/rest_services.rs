//! Conversation services: each has conversations, names and webhooks of its own. A pair has one owner over all of them.

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, only, text};
use tests::system::{ACCOUNT, ADA, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    a_conversation_is_seen_in_its_own_service_alone,
    a_pair_has_one_owner_over_all_services,
    autocreation_makes_conversations_in_the_service_that_it_names,
    the_shortened_paths_follow_the_default_service,
    a_list_of_services_is_read_to_its_end,
);

on_the_embedded_engine!(
    a_service_has_exactly_the_documented_fields,
    the_configuration_of_a_service_has_exactly_the_documented_fields,
    the_webhooks_of_a_service_have_exactly_the_documented_fields,
    an_invalid_service_is_refused,
    a_service_that_does_not_exist_has_nothing,
);

const SERVICES: &str = "/v1/Services";

/// The path of a new service.
async fn service(system: &TestSystem, name: &str) -> String {
    let made = system.post(SERVICES, &[("FriendlyName", name)]).await;
    let made = made.expect(201);
    format!("{SERVICES}/{}", text(&made["sid"]))
}

/// A new conversation of the service, by its path.
async fn conversation(system: &TestSystem, service: &str, form: &[(&str, &str)]) -> Value {
    let made = system.post(&format!("{service}/Conversations"), form).await;
    made.expect(201)
}

fn sid_of(service: &str) -> &str {
    service.rsplit('/').next().unwrap_or_default()
}

async fn a_service_has_exactly_the_documented_fields(system: TestSystem) {
    let made = system.post(SERVICES, &[("FriendlyName", "support")]).await;
    let made = made.expect(201);
    assert!(is_sid(&made["sid"], "IS"), "{made}");
    let url = format!("{PUBLIC_URL}{SERVICES}/{}", text(&made["sid"]));
    let expected = json!({
        "sid": made["sid"],
        "account_sid": ACCOUNT,
        "friendly_name": "support",
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
        "url": url,
        "links": {
            "conversations": format!("{url}/Conversations"),
            "users": format!("{url}/Users"),
            "roles": format!("{url}/Roles"),
            "bindings": format!("{url}/Bindings"),
            "configuration": format!("{url}/Configuration"),
            "participant_conversations": format!("{url}/ParticipantConversations"),
            "conversation_with_participants": format!("{url}/ConversationWithParticipants"),
        },
    });
    assert_eq!(made, expected);
    assert_eq!(system.get(&url).await.expect(200), expected);
}

async fn the_configuration_of_a_service_has_exactly_the_documented_fields(system: TestSystem) {
    let service = service(&system, "support").await;
    let path = format!("{service}/Configuration");
    let url = format!("{PUBLIC_URL}{path}");
    let mut expected = json!({
        "chat_service_sid": sid_of(&service),
        "default_conversation_creator_role_sid": null,
        "default_conversation_role_sid": null,
        "default_chat_service_role_sid": null,
        "reachability_enabled": false,
        "url": url,
        "links": {
            "notifications": format!("{url}/Notifications"),
            "webhooks": format!("{url}/Webhooks"),
        },
    });
    assert_eq!(system.get(&path).await.expect(200), expected);
    expected["reachability_enabled"] = json!(true);
    let updated = system.post(&path, &[("ReachabilityEnabled", "True")]).await;
    assert_eq!(updated.expect(200), expected);
    assert_eq!(system.get(&path).await.expect(200), expected);
}

async fn the_webhooks_of_a_service_have_exactly_the_documented_fields(system: TestSystem) {
    let service = service(&system, "support").await;
    let path = format!("{service}/Configuration/Webhooks");
    let mut expected = json!({
        "account_sid": ACCOUNT,
        "chat_service_sid": sid_of(&service),
        "method": "POST",
        "filters": null,
        "pre_webhook_url": null,
        "post_webhook_url": null,
        "on_timeout": "publish",
        "url": format!("{PUBLIC_URL}{path}"),
    });
    assert_eq!(system.get(&path).await.expect(200), expected);
    let form = [
        ("PostWebhookUrl", "https://example.com/post"),
        ("Filters", "onMessageAdded"),
        ("Method", "get"),
    ];
    let updated = system.post(&path, &form).await.expect(200);
    expected["post_webhook_url"] = json!("https://example.com/post");
    expected["filters"] = json!(["onMessageAdded"]);
    expected["method"] = json!("GET");
    assert_eq!(updated, expected);
    let users = system.post(&path, &[("Filters", "onUserAdded")]).await;
    users.expect_code(400, 50365);
    assert_eq!(system.get(&path).await.expect(200), expected);
}

async fn an_invalid_service_is_refused(system: TestSystem) {
    let long = "a".repeat(257);
    for (form, code) in [
        (&[][..], 20001),
        (&[("FriendlyName", "")], 20001),
        (&[("FriendlyName", &*long)], 50003),
    ] {
        system.post(SERVICES, form).await.expect_code(400, code);
    }
    let unknown = format!("IS{}", "0".repeat(32));
    for (path, parameter) in [
        ("/v1/Configuration", "DefaultChatServiceSid"),
        (
            "/v1/Configuration/Addresses",
            "AutoCreation.ConversationServiceSid",
        ),
    ] {
        let form = [("Type", "sms"), ("Address", OURS), (parameter, &*unknown)];
        system.post(path, &form).await.expect_code(404, 50050);
    }
}

async fn a_service_that_does_not_exist_has_nothing(system: TestSystem) {
    let made = system.conversation(&[]).await;
    let resources = [
        "Conversations".to_owned(),
        "Configuration".to_owned(),
        "Configuration/Webhooks".to_owned(),
        format!("Conversations/{made}"),
        format!("Conversations/{made}/Messages"),
        format!("Conversations/{made}/Participants"),
    ];
    for sid in [&*format!("IS{}", "0".repeat(32)), "IS1"] {
        let service = format!("{SERVICES}/{sid}");
        system.get(&service).await.expect_code(404, 20404);
        let of_ada = format!("{service}/ParticipantConversations?Identity=ada");
        system.get(&of_ada).await.expect_code(404, 20404);
        for resource in &resources {
            let path = format!("{service}/{resource}");
            system.get(&path).await.expect_code(404, 20404);
            let form = [("Body", "x"), ("Identity", "ada")];
            system.post(&path, &form).await.expect_code(404, 20404);
        }
    }
}

async fn a_conversation_is_seen_in_its_own_service_alone(system: TestSystem) {
    let (first, second) = (service(&system, "one").await, service(&system, "two").await);
    let names = [("UniqueName", "desk")];
    let made = conversation(&system, &first, &names).await;
    assert_eq!(made["chat_service_sid"], sid_of(&first));
    let sid = text(&made["sid"]);
    assert_eq!(
        made["url"],
        format!("{PUBLIC_URL}{first}/Conversations/{sid}")
    );
    // A unique name is unique in its service.
    let other = conversation(&system, &second, &names).await;
    assert_ne!(other["sid"], made["sid"]);
    let again = system.post(&format!("{first}/Conversations"), &names).await;
    again.expect_code(409, 50353);
    for path in [format!("{first}/Conversations/desk"), text(&made["url"])] {
        assert_eq!(system.get(&path).await.expect(200), made);
    }
    for place in [&second, "/v1"] {
        let path = format!("{place}/Conversations/{sid}");
        system.get(&path).await.expect_code(404, 20404);
        let edit = system.post(&path, &[("FriendlyName", "x")]).await;
        edit.expect_code(404, 20404);
        let message = system
            .post(&format!("{path}/Messages"), &[("Body", "x")])
            .await;
        message.expect_code(404, 20404);
        system.delete(&path).await.expect_code(404, 20404);
        let listed = system.list(&format!("{place}/Conversations")).await;
        assert!(listed.iter().all(|row| row["sid"] != made["sid"]));
    }
    let listed = system.list(&format!("{first}/Conversations")).await;
    assert_eq!(only(listed)["sid"], made["sid"]);
    let messages = format!("{first}/Conversations/{sid}/Messages");
    let message = system.post(&messages, &[("Body", "hi")]).await.expect(201);
    assert_eq!(message["chat_service_sid"], sid_of(&first));
    let participants = format!("{first}/Conversations/{sid}/Participants");
    let participant = system
        .post(&participants, &[("Identity", "ada")])
        .await
        .expect(201);
    assert_eq!(participant["chat_service_sid"], sid_of(&first));
    for (place, count) in [(&*first, 1), (&*second, 0), ("/v1", 0)] {
        let path = format!("{place}/ParticipantConversations?Identity=ada");
        assert_eq!(system.list(&path).await.len(), count, "{place}");
    }
    system.delete(&text(&made["url"])).await.expect(204);
    system
        .get(&text(&made["url"]))
        .await
        .expect_code(404, 20404);
}

async fn a_pair_has_one_owner_over_all_services(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (holder, _) = system.bind(ADA, OURS).await;
    let service = service(&system, "support").await;
    let made = conversation(&system, &service, &[]).await;
    let participants = format!("{}/Participants", text(&made["url"]));
    let pair = [
        ("MessagingBinding.Address", ADA),
        ("MessagingBinding.ProxyAddress", OURS),
    ];
    let refused = system
        .post(&participants, &pair)
        .await
        .expect_code(409, 50416);
    assert!(text(&refused["message"]).contains(&holder), "{refused}");
    system
        .delete(&format!("/v1/Conversations/{holder}"))
        .await
        .expect(204);
    system.post(&participants, &pair).await.expect(201);
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    let messages = format!("{}/Messages", text(&made["url"]));
    assert_eq!(only(system.list(&messages).await)["body"], "hello");
}

async fn autocreation_makes_conversations_in_the_service_that_it_names(system: TestSystem) {
    let service = service(&system, "support").await;
    let configured = system
        .post(
            "/v1/Configuration/Addresses",
            &[
                ("Type", "sms"),
                ("Address", OURS),
                ("AutoCreation.Enabled", "true"),
                ("AutoCreation.ConversationServiceSid", sid_of(&service)),
            ],
        )
        .await
        .expect(201);
    let shown = &configured["auto_creation"]["conversation_service_sid"];
    assert_eq!(shown, sid_of(&service));
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    let listed = system.list(&format!("{service}/Conversations")).await;
    let made = only(listed);
    assert_eq!(made["chat_service_sid"], sid_of(&service));
    assert!(system.conversations().await.is_empty());
    assert!(system.message(&sid(2), ADA, OURS, "again").await.accepted());
    let messages = system
        .list(&format!("{}/Messages", text(&made["url"])))
        .await;
    let bodies: Vec<&Value> = messages.iter().map(|message| &message["body"]).collect();
    assert_eq!(bodies, ["hello", "again"]);
}

async fn the_shortened_paths_follow_the_default_service(system: TestSystem) {
    let old = system.conversation(&[]).await;
    let service = service(&system, "support").await;
    let form = [("DefaultChatServiceSid", sid_of(&service))];
    let changed = system.post("/v1/Configuration", &form).await.expect(200);
    assert_eq!(changed["default_chat_service_sid"], sid_of(&service));
    let path = format!("/v1/Conversations/{old}");
    system.get(&path).await.expect_code(404, 20404);
    let edit = system.post(&path, &[("FriendlyName", "x")]).await;
    edit.expect_code(404, 20404);
    let made = system.conversation(&[("UniqueName", "desk")]).await;
    let found = system.get(&format!("{service}/Conversations/desk")).await;
    let found = found.expect(200);
    assert_eq!(found["sid"], made);
    assert_eq!(found["chat_service_sid"], sid_of(&service));
    system
        .post("/v1/Conversations/desk", &[("FriendlyName", "x")])
        .await
        .expect(200);
    system.autocreation(OURS).await;
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    assert_eq!(
        system.list(&format!("{service}/Conversations")).await.len(),
        2
    );
}

async fn a_list_of_services_is_read_to_its_end(system: TestSystem) {
    let default = system.list(SERVICES).await;
    let default = text(&only(default)["sid"]);
    let mut expected = vec![default];
    for number in 0..4 {
        let made = service(&system, &format!("service {number}")).await;
        expected.push(sid_of(&made).to_owned());
    }
    let listed = system.list(&format!("{SERVICES}?PageSize=2")).await;
    let mut listed: Vec<String> = listed.iter().map(|row| text(&row["sid"])).collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}
