//! `/v1/Conversations`: what the resource looks like, its names, its states and timers, its lists, its end.

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
    a_timer_counts_from_the_last_activity,
    a_change_after_the_closing_time_finds_the_conversation_closed,
    a_pair_is_free_after_the_closing_time,
    a_list_is_read_to_its_end_without_loss_or_duplicates,
    a_list_page_has_its_number_and_its_neighbours,
    a_list_page_survives_the_deletion_of_its_last_row,
    a_list_is_filtered_by_state,
    a_filter_follows_the_state_that_a_message_changes,
    a_list_is_filtered_by_the_day_of_creation,
    a_list_begins_with_the_newest,
    a_deleted_conversation_is_gone_with_all_it_had,
    an_unknown_conversation_is_not_found,
);

on_the_embedded_engine!(
    a_conversation_has_exactly_the_documented_fields,
    a_conversation_needs_nothing,
    a_parameter_that_we_do_not_know_is_ignored,
    a_unique_name_may_not_look_like_a_sid,
    a_conversation_starts_active_or_inactive,
    timers_are_checked_when_a_conversation_is_made,
    timers_are_checked_when_a_conversation_is_changed,
    a_timer_of_zero_is_off,
    a_page_size_over_the_maximum_is_the_maximum,
    an_invalid_page_is_refused,
    a_token_of_another_list_is_refused,
    a_token_shows_nothing_of_another_conversation,
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

/// Timers that are no timers, and what is said of them.
const BAD_TIMERS: [(&str, &str, u64); 9] = [
    ("Timers.Inactive", "PT59S", 50375),
    ("Timers.Inactive", "PT1S", 50375),
    ("Timers.Inactive", "60", 50379),
    ("Timers.Inactive", "1 minute", 50379),
    ("Timers.Inactive", "P", 50379),
    ("Timers.Closed", "PT9M59S", 50376),
    ("Timers.Closed", "PT1M", 50376),
    ("Timers.Closed", "600", 50380),
    ("Timers.Closed", "PT10", 50380),
];

/// Timers, and their seconds.
const TIMERS: [(&str, &str, &str, i64); 7] = [
    ("Timers.Inactive", "date_inactive", "PT1M", 60),
    ("Timers.Inactive", "date_inactive", "PT60S", 60),
    ("Timers.Inactive", "date_inactive", "PT1H30M", 5_400),
    ("Timers.Closed", "date_closed", "PT10M", 600),
    ("Timers.Closed", "date_closed", "PT600S", 600),
    ("Timers.Closed", "date_closed", "P1D", 86_400),
    ("Timers.Closed", "date_closed", "P1DT1H", 90_000),
];

async fn timers_are_checked_when_a_conversation_is_made(system: TestSystem) {
    for (parameter, value, code) in BAD_TIMERS {
        let answer = system.post(CONVERSATIONS, &[(parameter, value)]).await;
        answer.expect_code(400, code);
    }
    assert_eq!(system.conversations().await.len(), 0);
    for (parameter, key, value, after) in TIMERS {
        let answer = system.post(CONVERSATIONS, &[(parameter, value)]).await;
        let made = answer.expect(201);
        assert_eq!(keys(&made["timers"]), [key], "{value}");
        let time = seconds(&made["timers"][key]) - seconds(&made["date_created"]);
        assert_eq!(time, after, "{value}");
    }
}

async fn timers_are_checked_when_a_conversation_is_changed(system: TestSystem) {
    for (parameter, value, code) in BAD_TIMERS {
        let before = system.post(CONVERSATIONS, &[]).await.expect(201);
        let sid = text(&before["sid"]);
        let answer = system
            .update_conversation(&sid, &[(parameter, value)])
            .await;
        answer.expect_code(400, code);
        assert_eq!(system.fetch_conversation(&sid).await, before);
    }
    for (parameter, key, value, after) in TIMERS {
        let sid = system.conversation(&[]).await;
        let answer = system
            .update_conversation(&sid, &[(parameter, value)])
            .await;
        let updated = answer.expect(200);
        assert_eq!(keys(&updated["timers"]), [key], "{value}");
        let time = seconds(&updated["timers"][key]) - seconds(&updated["date_updated"]);
        assert_eq!(time, after, "{value}");
    }
}

async fn a_timer_counts_from_the_last_activity(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}");
    let timers = [("Timers.Inactive", "PT30M"), ("Timers.Closed", "PT1H")];
    let updated = system.post(&path, &timers).await.expect(200);
    let start = seconds(&updated["timers"]["date_closed"]) - 60 * 60;
    let moved = async |minutes: i64, what: &str| {
        let timers = system.fetch_conversation(&conversation).await["timers"].clone();
        // The clock also runs by itself during the test.
        let closed = seconds(&timers["date_closed"]) - start - 60 * 60;
        let bounds = minutes * 60..minutes * 60 + 60;
        assert!(bounds.contains(&closed), "{what}: moved by {closed} s");
        let inactive = seconds(&timers["date_inactive"]) - start - 30 * 60;
        assert!(bounds.contains(&inactive), "{what}: moved by {inactive} s");
    };
    moved(0, "at first").await;

    system.advance(Duration::from_secs(10 * 60));
    system.message(&sid(1), ADA, OURS, "hello").await;
    moved(10, "after a message that came in").await;

    system.advance(Duration::from_secs(10 * 60));
    let messages = format!("{path}/Messages");
    let form = [("Body", "hello")];
    system.post(&messages, &form).await.expect(201);
    moved(20, "after a message by REST").await;

    system.advance(Duration::from_secs(10 * 60));
    let state = [("State", "inactive")];
    system.post(&path, &state).await.expect(200);
    let closed = &system.fetch_conversation(&conversation).await["timers"]["date_closed"];
    let closed = seconds(closed) - start - 60 * 60;
    assert!((30 * 60..31 * 60).contains(&closed), "moved by {closed} s");
}

async fn a_timer_of_zero_is_off(system: TestSystem) {
    let timers = [("Timers.Inactive", "PT1M"), ("Timers.Closed", "PT10M")];
    let sid = system.conversation(&timers).await;
    let answer = system
        .update_conversation(&sid, &[("Timers.Inactive", "PT0S")])
        .await;
    assert_eq!(keys(&answer.expect(200)["timers"]), ["date_closed"]);
    let answer = system
        .update_conversation(&sid, &[("Timers.Closed", "PT0S")])
        .await;
    assert_eq!(answer.expect(200)["timers"], json!({}));
    assert_eq!(system.fetch_conversation(&sid).await["timers"], json!({}));
}

async fn a_change_after_the_closing_time_finds_the_conversation_closed(system: TestSystem) {
    system.number(OURS, &[]).await;
    let late = Duration::from_secs(10 * 60 + 1);
    let timer = [("Timers.Closed", "PT10M")];
    let sid = system.conversation(&timer).await;
    let (name, body) = ([("FriendlyName", "late")], [("Body", "late")]);
    system.advance(late);
    system
        .update_conversation(&sid, &name)
        .await
        .expect_code(400, 50377);
    assert_eq!(system.fetch_conversation(&sid).await["state"], "closed");

    let sid = system.conversation(&timer).await;
    system.advance(late);
    let messages = format!("/v1/Conversations/{sid}/Messages");
    system.post(&messages, &body).await.expect_code(400, 50377);
    assert_eq!(system.messages(&sid).await.len(), 0);

    let sid = system.conversation(&timer).await;
    system.advance(late);
    let answer = system.add_participant(&sid, ADA, OURS).await;
    answer.expect_code(400, 50377);
    assert_eq!(system.participants(&sid).await.len(), 0);
}

async fn a_pair_is_free_after_the_closing_time(system: TestSystem) {
    system.number(OURS, &[]).await;
    let old = system.conversation(&[("Timers.Closed", "PT10M")]).await;
    system.add_participant(&old, ADA, OURS).await.expect(201);
    let new = system.conversation(&[]).await;
    let answer = system.add_participant(&new, ADA, OURS).await;
    answer.expect_code(409, 50416);
    system.advance(Duration::from_secs(10 * 60 + 1));
    // Who asks for the pair finds the old conversation closed.
    system.add_participant(&new, ADA, OURS).await.expect(201);
    assert_eq!(system.fetch_conversation(&old).await["state"], "closed");
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(system.bodies(&new).await, ["hello"]);
}

async fn a_list_is_read_to_its_end_without_loss_or_duplicates(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..23 {
        expected.push(system.conversation(&[]).await);
    }
    expected.sort();
    // One page exactly, several with a rest, several without, one for each.
    for size in [23, 10, 5, 1, 24, 50] {
        let rows = system
            .list(&format!("/v1/Conversations?PageSize={size}"))
            .await;
        let mut sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
        sids.sort();
        assert_eq!(sids, expected, "PageSize={size}");
    }
}

async fn a_list_page_has_its_number_and_its_neighbours(system: TestSystem) {
    let empty = system.get(CONVERSATIONS).await.expect(200);
    assert_eq!(keys(&empty), ["conversations", "meta"]);
    assert_eq!(empty["conversations"], json!([]));
    assert_eq!(empty["meta"]["next_page_url"], Value::Null);
    assert_eq!(empty["meta"]["page_size"], 50);

    for _ in 0..5 {
        system.conversation(&[]).await;
    }
    let mut next = json!(format!("{PUBLIC_URL}/v1/Conversations?PageSize=2"));
    for (number, rows) in [(0, 2), (1, 2), (2, 1)] {
        let page = system.get(&text(&next)).await.expect(200);
        let meta = &page["meta"];
        assert_eq!(
            keys(meta),
            [
                "first_page_url",
                "key",
                "next_page_url",
                "page",
                "page_size",
                "previous_page_url",
                "url",
            ]
        );
        assert_eq!(page["conversations"].as_array().map(Vec::len), Some(rows));
        assert_eq!(meta["page"], number);
        assert_eq!(meta["page_size"], 2);
        assert_eq!(meta["key"], "conversations");
        for key in ["first_page_url", "url"] {
            let url = text(&meta[key]);
            let ours = format!("{PUBLIC_URL}/v1/Conversations?");
            assert!(url.starts_with(&ours), "{url}");
            assert!(url.contains("PageSize=2"), "{url}");
        }
        // A client that asks for the page again, or for the first one, gets it.
        let same = system.get(&text(&meta["url"])).await.expect(200);
        assert_eq!(same["conversations"], page["conversations"]);
        if number == 0 {
            assert_eq!(meta["previous_page_url"], Value::Null);
            let first = system.get(&text(&meta["first_page_url"])).await.expect(200);
            assert_eq!(first["conversations"], page["conversations"]);
        }
        next = meta["next_page_url"].clone();
    }
    assert_eq!(next, Value::Null);
}

async fn a_list_page_survives_the_deletion_of_its_last_row(system: TestSystem) {
    for _ in 0..6 {
        system.conversation(&[]).await;
    }
    let page = system.get("/v1/Conversations?PageSize=3").await.expect(200);
    let seen = page["conversations"].as_array().expect("rows").clone();
    let last = text(&seen[2]["sid"]);
    let path = format!("/v1/Conversations/{last}");
    system.delete(&path).await.expect(204);
    let rest = system.list(&text(&page["meta"]["next_page_url"])).await;
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|row| !seen.contains(row)));
}

async fn a_page_size_over_the_maximum_is_the_maximum(system: TestSystem) {
    system.conversation(&[]).await;
    let page = system.get("/v1/Conversations?PageSize=1000").await;
    let page = page.expect(200);
    assert_eq!(page["meta"]["page_size"], 100);
    assert_eq!(page["conversations"].as_array().map(Vec::len), Some(1));
}

async fn an_invalid_page_is_refused(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    for (query, code) in [
        ("Page=one", 19036),
        ("Page=1.5", 19036),
        ("Page=-1", 19038),
        ("Page=1&PageToken=rubbish", 21481),
        ("Page=1&PageToken=%00%C3%A9", 21481),
        (
            "Page=1&PageToken=PTCH00000000000000000000000000000000",
            21481,
        ),
    ] {
        for list in [
            CONVERSATIONS.to_owned(),
            format!("/v1/Conversations/{conversation}/Messages"),
            format!("/v1/Conversations/{conversation}/Participants"),
            "/v1/Configuration/Addresses".to_owned(),
            "/v1/ParticipantConversations?Identity=carol".to_owned(),
            format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"),
        ] {
            let joint = if list.contains('?') { '&' } else { '?' };
            let answer = system.get(&format!("{list}{joint}{query}")).await;
            answer.expect_code(400, code);
        }
    }
}

async fn a_token_of_another_list_is_refused(system: TestSystem) {
    let mut conversations = Vec::new();
    for _ in 0..3 {
        let conversation = system.conversation(&[]).await;
        let messages = format!("/v1/Conversations/{conversation}/Messages");
        for body in ["one", "two"] {
            system.post(&messages, &[("Body", body)]).await.expect(201);
        }
        conversations.push(conversation);
    }
    let messages = format!("/v1/Conversations/{}/Messages", conversations[0]);
    let page = system.get(&format!("{messages}?PageSize=1")).await;
    let next = text(&page.expect(200)["meta"]["next_page_url"]);
    let (_, query) = next.split_once('?').expect("a query");
    let answer = system.get(&format!("/v1/Conversations?{query}")).await;
    answer.expect_code(400, 21481);
    // Nor is a token that a client made up: these are `zzz` and `0`.
    for token in ["enp6", "MA"] {
        let query = format!("Page=1&PageToken={token}");
        let answer = system.get(&format!("/v1/Conversations?{query}")).await;
        answer.expect_code(400, 21481);
    }
}

async fn a_token_shows_nothing_of_another_conversation(system: TestSystem) {
    let mut lists = Vec::new();
    for owner in ["first", "second"] {
        let conversation = system.conversation(&[]).await;
        let one = format!("/v1/Conversations/{conversation}");
        for number in 0..3 {
            let name = format!("{owner}-{number}");
            let form = [("Identity", name.as_str()), ("Body", &name)];
            for list in ["Participants", "Messages"] {
                let list = format!("{one}/{list}");
                system.post(&list, &form).await.expect(201);
            }
        }
        lists.push(one);
    }
    for list in ["Participants", "Messages"] {
        let page = system.get(&format!("{}/{list}?PageSize=1", lists[0])).await;
        let next = text(&page.expect(200)["meta"]["next_page_url"]);
        let answer = system.get(&next.replace(&lists[0], &lists[1])).await;
        // Refused, or a page of the list that was asked for.
        assert!(!answer.status.is_server_error(), "{}", answer.text());
        assert!(!answer.text().contains("first-"), "{}", answer.text());
    }
}

async fn a_list_is_filtered_by_state(system: TestSystem) {
    let mut expected = Vec::new();
    for number in 0..9 {
        let sid = system.conversation(&[]).await;
        let state = ["active", "inactive", "closed"][number % 3];
        system
            .update_conversation(&sid, &[("State", state)])
            .await
            .expect(200);
        expected.push((state, sid));
    }
    for state in ["active", "inactive", "closed"] {
        let mut expected: Vec<_> = expected.iter().filter(|row| row.0 == state).collect();
        expected.sort();
        for size in [2, 50] {
            let path = format!("/v1/Conversations?State={state}&PageSize={size}");
            let mut rows: Vec<_> = system.list(&path).await;
            rows.sort_by_key(|row| text(&row["sid"]));
            let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
            let expected: Vec<_> = expected.iter().map(|row| row.1.clone()).collect();
            assert_eq!(sids, expected, "{state}");
            assert!(rows.iter().all(|row| row["state"] == state));
        }
    }
    let answer = system.get("/v1/Conversations?State=open").await;
    assert_eq!(answer.expect(400)["status"], 400);
}

async fn a_filter_follows_the_state_that_a_message_changes(system: TestSystem) {
    system.autocreation(OURS).await;
    let listed = async |state: &str| -> Vec<String> {
        let rows = system
            .list(&format!("/v1/Conversations?State={state}"))
            .await;
        assert!(rows.iter().all(|row| row["state"] == state), "{rows:#?}");
        rows.iter().map(|row| text(&row["sid"])).collect()
    };
    let old = system.conversation(&[("State", "inactive")]).await;
    system.add_participant(&old, ADA, OURS).await.expect(201);
    system
        .update_conversation(&old, &[("State", "inactive")])
        .await
        .expect(200);
    assert_eq!(listed("inactive").await, [old.as_str()]);
    system.message(&sid(1), ADA, OURS, "one").await;
    assert_eq!(listed("active").await, [old.as_str()]);
    assert_eq!(listed("inactive").await.len(), 0);

    let timer = [("Timers.Closed", "PT10M")];
    system.update_conversation(&old, &timer).await.expect(200);
    system.advance(Duration::from_secs(10 * 60 + 1));
    system.message(&sid(2), ADA, OURS, "two").await;
    assert_eq!(listed("closed").await, [old.as_str()]);
    let active = listed("active").await;
    assert_eq!(active.len(), 1);
    assert_ne!(active[0], old);
}

async fn a_list_is_filtered_by_the_day_of_creation(system: TestSystem) {
    let mut days = Vec::new();
    for _ in 0..3 {
        let made = system.post(CONVERSATIONS, &[]).await.expect(201);
        let day = text(&made["date_created"])[..10].to_owned();
        days.push((day, text(&made["sid"])));
        system.advance(Duration::from_secs(24 * 60 * 60));
    }
    let [(first_day, first), (second_day, second), (third_day, third)] = &days[..] else {
        panic!("three days");
    };
    for (start, end, expected) in [
        (Some(first_day), None, vec![third, second, first]),
        (Some(second_day), None, vec![third, second]),
        (Some(third_day), None, vec![third]),
        (None, Some(first_day), vec![first]),
        (None, Some(second_day), vec![second, first]),
        (Some(second_day), Some(second_day), vec![second]),
        (Some(third_day), Some(first_day), vec![]),
    ] {
        let mut path = "/v1/Conversations?PageSize=1".to_owned();
        if let Some(day) = start {
            path += &format!("&StartDate={day}T00:00:00Z");
        }
        if let Some(day) = end {
            path += &format!("&EndDate={day}T23:59:59Z");
        }
        let rows = system.list(&path).await;
        let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(sids, expected, "{path}");
    }
    for query in ["StartDate=yesterday", "EndDate=31.12.2025"] {
        let answer = system.get(&format!("/v1/Conversations?{query}")).await;
        assert_eq!(answer.expect(400)["status"], 400, "{query}");
    }
}

async fn a_list_begins_with_the_newest(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, system.conversation(&[]).await);
        system.advance(Duration::from_secs(1));
    }
    let rows = system.list("/v1/Conversations?PageSize=2").await;
    let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
    assert_eq!(sids, expected);
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
