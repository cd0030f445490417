//! Changes of messages by REST: posting, editing, deletion.

use super::*;

fn revision(version: u64, body: Option<&str>) -> Option<Revision> {
    Some(Revision {
        slot: 4,
        version,
        message: body.map(a_message),
        date_updated: at(0),
    })
}

#[test]
fn a_posted_message_takes_a_slot_and_wakes_what_is_parked() {
    let asks = Rest::new().asks();
    let reply = |by, result| {
        Some(PreActionReply {
            event: PreActionEvent::MessageAdd,
            conversation: Some(conversation(by)),
            webhook: first_webhook(),
            result,
        })
    };
    let posted = "c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2)";
    check_all(&[
        (Rest::new().post(None), posted),
        (
            Rest::new().state(State::Inactive).post(None),
            "state c1 active; timer c1 90; \
             c1/6 onMessageAdded(3) onConversationStateUpdated(inactive active EVENT) = active m4 e11 t30 (1 2)",
        ),
        (asks.post(None), "ask onMessageAdd"),
        (asks.post(reply(2, publish())), "ask onMessageAdd"),
        (asks.post(reply(1, publish())), posted),
        (asks.post(reply(1, PreActionResult::Reject)), "Rejected"),
        (Rest::new().state(State::Closed).post(None), "Closed"),
        (
            Rest::new().state(State::Initializing).post(None),
            "Initializing",
        ),
        (Rest::new().terminal().post(None), "NotFound"),
    ]);
}

#[test]
fn the_author_of_a_posted_message_is_the_participant_with_the_address() {
    let own = pair(2).address().to_string();
    for (author, given, expected) in [
        (own.as_str(), None, Some(participant(2))),
        ("ann", Some(participant(3)), Some(participant(3))),
        ("system", None, None),
        ("+15550000003", None, None),
    ] {
        let Decision::Do(plan) = Rest::new().posted(author, given, None) else {
            panic!("{author} may post");
        };
        let Posted { sid, message, .. } = plan.outcome;
        assert_eq!(
            (message.author.as_str(), message.participant),
            (author, expected)
        );
        let entry = appended(&plan.writes, conversation(1));
        assert_eq!(entry.message(), Some((sid, &message)));
    }
}

#[test]
fn an_edited_message_has_a_revision_and_a_deleted_one_is_blank() {
    let rest = Rest::new();
    let closed = Rest::new().state(State::Closed);
    check_all(&[
        (
            rest.edit_message(None, "new"),
            "revision of 4 v1; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (
            rest.edit_message(revision(2, Some("edited")), "new"),
            "revision of 4 v3; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.edit_message(None, "added"), "nothing"),
        (
            rest.edit_message(revision(1, Some("new")), "new"),
            "nothing",
        ),
        (
            rest.edit_message(revision(1, Some("edited")), "added"),
            "revision of 4 v2; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.edit_message(revision(1, None), "new"), "NotFound"),
        (closed.edit_message(None, "new"), "Closed"),
        (
            rest.delete_message(None),
            "revision of 4 v1; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (
            rest.delete_message(revision(1, Some("edited"))),
            "revision of 4 v2; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.delete_message(revision(1, None)), "NotFound"),
        (closed.delete_message(None), "Closed"),
        (Rest::new().terminal().delete_message(None), "NotFound"),
    ]);
}
