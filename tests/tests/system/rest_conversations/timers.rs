//! The timers of a conversation: their limits, and their effect on a request.

use super::*;

on_both_engines!(
    a_timer_counts_from_the_last_activity,
    a_change_after_the_closing_time_finds_the_conversation_closed,
    a_pair_is_free_after_the_closing_time,
);

on_the_embedded_engine!(
    timers_are_checked_when_a_conversation_is_made,
    timers_are_checked_when_a_conversation_is_changed,
    a_timer_of_zero_is_off,
);

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
