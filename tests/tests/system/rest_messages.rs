//! `/v1/Conversations/{CH}/Messages`: what was said, in order.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, keys, only, seconds, text};
use tests::system::{ACCOUNT, ADA, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    an_author_who_takes_part_is_the_participant,
    messages_from_both_sides_are_in_one_order,
    a_message_by_rest_makes_an_inactive_conversation_active,
    a_list_is_in_order_or_in_reverse,
    a_list_is_read_to_its_end_while_messages_come_in,
    a_list_of_long_messages_is_read_to_its_end,
    an_edit_changes_what_it_names_and_nothing_else,
    an_edit_leaves_the_other_messages_alone,
    a_deletion_leaves_a_gap_that_is_never_filled,
    a_message_of_another_conversation_is_not_found,
);

on_the_embedded_engine!(
    a_message_has_exactly_the_documented_fields,
    a_message_that_came_in_has_the_same_fields,
    a_message_needs_something_to_say,
);

async fn a_message_has_exactly_the_documented_fields(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let form = [
        ("Body", "hello"),
        ("Author", "carol"),
        ("Attributes", r#"{"importance":"high"}"#),
    ];
    let made = system.post(&messages, &form).await.expect(201);
    assert_eq!(keys(&made), FIELDS);
    assert!(is_sid(&made["sid"], "IM"), "{made}");
    assert_eq!(made["account_sid"], ACCOUNT);
    assert_eq!(made["conversation_sid"], json!(conversation));
    assert_eq!(made["index"], 0);
    assert_eq!(made["body"], "hello");
    assert_eq!(made["author"], "carol");
    assert_eq!(made["attributes"], r#"{"importance":"high"}"#);
    assert_eq!(made["participant_sid"], Value::Null);
    assert_eq!(made["media"], Value::Null);
    assert_eq!(made["delivery"], Value::Null);
    assert_eq!(made["content_sid"], Value::Null);
    assert_eq!(
        seconds(&made["date_created"]),
        seconds(&made["date_updated"])
    );
    let url = format!("{PUBLIC_URL}{messages}/{}", text(&made["sid"]));
    assert_eq!(made["url"], json!(url));
    assert_eq!(
        made["links"],
        json!({
            "delivery_receipts": format!("{url}/Receipts"),
            "channel_metadata": format!("{url}/ChannelMetadata"),
        })
    );
    assert_eq!(system.get(&url).await.expect(200), made);
    assert_eq!(only(system.messages(&conversation).await), made);
    let page = system.get(&messages).await.expect(200);
    assert_eq!(keys(&page), ["messages", "meta"]);
    assert_eq!(page["meta"]["page_size"], 50);
}

const FIELDS: [&str; 15] = [
    "account_sid",
    "attributes",
    "author",
    "body",
    "content_sid",
    "conversation_sid",
    "date_created",
    "date_updated",
    "delivery",
    "index",
    "links",
    "media",
    "participant_sid",
    "sid",
    "url",
];

async fn a_message_that_came_in_has_the_same_fields(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let message = only(system.messages(&conversation).await);
    assert_eq!(keys(&message), FIELDS);
    assert_eq!(message["content_sid"], Value::Null);
    let url = text(&message["url"]);
    assert_eq!(system.get(&url).await.expect(200), message);
}

async fn an_author_who_takes_part_is_the_participant(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, ada) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}");
    let form = [("Identity", "carol")];
    let participants = format!("{path}/Participants");
    let carol = system.post(&participants, &form).await.expect(201);
    for (author, shown, participant) in [
        (Some("carol"), "carol", carol["sid"].clone()),
        (Some(ADA), ADA, json!(ada)),
        (Some("stranger"), "stranger", Value::Null),
        (Some("system"), "system", Value::Null),
        (None, "system", Value::Null),
    ] {
        let mut form = vec![("Body", "hello")];
        form.extend(author.map(|author| ("Author", author)));
        let messages = format!("{path}/Messages");
        let made = system.post(&messages, &form).await.expect(201);
        assert_eq!(made["author"], shown);
        assert_eq!(made["participant_sid"], participant, "{shown}");
    }
}

async fn messages_from_both_sides_are_in_one_order(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let mut expected = Vec::new();
    for number in 0..6 {
        let body = format!("message {number}");
        if number % 3 == 1 {
            let made = say(&system, &conversation, &body).await;
            assert_eq!(made["index"], number);
        } else {
            system.message(&sid(number), ADA, OURS, &body).await;
        }
        expected.push(body);
    }
    assert_eq!(system.bodies(&conversation).await, expected);
}

async fn a_message_by_rest_makes_an_inactive_conversation_active(system: TestSystem) {
    let conversation = system.conversation(&[("State", "inactive")]).await;
    say(&system, &conversation, "hello").await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
}

async fn a_list_is_in_order_or_in_reverse(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    for number in 0..13 {
        say(&system, &conversation, &number.to_string()).await;
    }
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    for size in [13, 5, 1, 50] {
        for (order, reversed) in [
            ("", false),
            ("&Order=asc", false),
            ("&Order=desc", true),
            ("&Order=DESC", true),
        ] {
            let path = format!("{messages}?PageSize={size}{order}");
            let mut indexes: Vec<_> = system
                .list(&path)
                .await
                .iter()
                .map(|row| row["index"].as_u64().expect("an index"))
                .collect();
            if reversed {
                indexes.reverse();
            }
            assert_eq!(indexes, (0..13).collect::<Vec<_>>(), "{path}");
        }
    }
    let answer = system.get(&format!("{messages}?Order=sideways")).await;
    assert_eq!(answer.expect(400)["status"], 400);
    let page = system.get(&format!("{messages}?PageSize=500")).await;
    assert_eq!(page.expect(200)["meta"]["page_size"], 100);
}

async fn a_list_is_read_to_its_end_while_messages_come_in(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    for number in 0..6 {
        say(&system, &conversation, &number.to_string()).await;
    }
    let path = format!("/v1/Conversations/{conversation}/Messages?PageSize=4");
    let page = system.get(&path).await.expect(200);
    // One comes, one that was seen goes.
    say(&system, &conversation, "6").await;
    let seen = text(&page["messages"][3]["url"]);
    system.delete(&seen).await.expect(204);
    let rest = system.list(&text(&page["meta"]["next_page_url"])).await;
    let bodies: Vec<_> = rest.iter().map(|row| text(&row["body"])).collect();
    assert_eq!(bodies, ["4", "5", "6"]);
}

async fn a_list_of_long_messages_is_read_to_its_end(system: TestSystem) {
    // More than DynamoDB answers at once, which is 1 MB.
    system.autocreation(OURS).await;
    let mut expected = Vec::new();
    for number in 0..45 {
        let body = format!("{number} {}", "x".repeat(30_000));
        let answer = system.message(&sid(number), ADA, OURS, &body).await;
        assert!(answer.accepted(), "{}", answer.text());
        expected.push(body);
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert!(system.bodies(&conversation).await == expected);
    let path = format!("/v1/Conversations/{conversation}/Messages?Order=desc&PageSize=44");
    let mut rows = system.list(&path).await;
    rows.reverse();
    let bodies: Vec<_> = rows.iter().map(|row| text(&row["body"])).collect();
    assert!(bodies == expected);
}

async fn an_edit_changes_what_it_names_and_nothing_else(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let mut expected = say(&system, &conversation, "before").await;
    let url = text(&expected["url"]);
    for (parameter, key, value) in [
        ("Body", "body", "after"),
        ("Author", "author", "carol"),
        ("Attributes", "attributes", r#"{"edited":true}"#),
    ] {
        system.advance(Duration::from_secs(2));
        let updated = system.post(&url, &[(parameter, value)]).await.expect(200);
        let before = seconds(&expected["date_updated"]);
        assert!(seconds(&updated["date_updated"]) > before, "{updated}");
        expected["date_updated"] = updated["date_updated"].clone();
        expected[key] = json!(value);
        assert_eq!(updated, expected);
        assert_eq!(system.get(&url).await.expect(200), expected);
        assert_eq!(only(system.messages(&conversation).await), expected);
    }
    let form = [("Attributes", "{")];
    system.post(&url, &form).await.expect_code(400, 50304);
    assert_eq!(system.get(&url).await.expect(200), expected);
}

async fn an_edit_leaves_the_other_messages_alone(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    for number in 0..4 {
        let body = format!("message {number}");
        system.message(&sid(number), ADA, OURS, &body).await;
    }
    let before = system.messages(&conversation).await;
    let url = text(&before[1]["url"]);
    let form = [("Body", "edited")];
    let edited = system.post(&url, &form).await.expect(200);
    assert_eq!(edited["index"], 1);
    let mut expected = before;
    expected[1] = edited;
    assert_eq!(system.messages(&conversation).await, expected);
    let made = say(&system, &conversation, "next").await;
    assert_eq!(made["index"], 4);
}

async fn a_deletion_leaves_a_gap_that_is_never_filled(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    for number in 0..4 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    let messages = system.messages(&conversation).await;
    // One in the middle, and the last.
    for index in [1, 3] {
        let url = text(&messages[index]["url"]);
        let answer = system.delete(&url).await;
        assert!(answer.body.is_empty(), "{}", answer.text());
        answer.expect(204);
        system.get(&url).await.expect_code(404, 20404);
        system.delete(&url).await.expect_code(404, 20404);
        let form = [("Body", "again")];
        system.post(&url, &form).await.expect_code(404, 20404);
    }
    let indexes = async || -> Vec<u64> {
        let path = format!("/v1/Conversations/{conversation}/Messages?PageSize=1");
        let rows = system.list(&path).await;
        rows.iter()
            .filter_map(|row| row["index"].as_u64())
            .collect()
    };
    assert_eq!(indexes().await, [0, 2]);
    assert_eq!(say(&system, &conversation, "next").await["index"], 4);
    system.message(&sid(9), ADA, OURS, "next").await;
    assert_eq!(indexes().await, [0, 2, 4, 5]);
    // A deleted message's retry brings nothing back.
    system.message(&sid(3), ADA, OURS, "hello").await;
    assert_eq!(indexes().await, [0, 2, 4, 5]);
}

async fn a_message_of_another_conversation_is_not_found(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let message = text(&say(&system, &conversation, "hello").await["sid"]);
    let elsewhere = system.conversation(&[]).await;
    say(&system, &elsewhere, "elsewhere").await;
    let form = [("Body", "again")];
    for sid in [&message, "IM00000000000000000000000000000000", "0", "hello"] {
        let path = format!("/v1/Conversations/{elsewhere}/Messages/{sid}");
        system.get(&path).await.expect_code(404, 20404);
        system.post(&path, &form).await.expect_code(404, 20404);
        system.delete(&path).await.expect_code(404, 20404);
    }
    let nowhere = "/v1/Conversations/CH00000000000000000000000000000000/Messages";
    system.get(nowhere).await.expect_code(404, 20404);
    system.post(nowhere, &form).await.expect_code(404, 20404);
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
    assert_eq!(system.bodies(&elsewhere).await, ["elsewhere"]);
}

async fn a_message_needs_something_to_say(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    for form in [&[][..], &[("Author", "carol")]] {
        let answer = system.post(&messages, form).await;
        answer.expect_code(400, 50503);
    }
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

/// A message by REST.
async fn say(system: &TestSystem, conversation: &str, body: &str) -> Value {
    let path = format!("/v1/Conversations/{conversation}/Messages");
    system.post(&path, &[("Body", body)]).await.expect(201)
}
