//! When a message calls a pre-action webhook, with which proposal, and the effect of the reply.

use super::*;

#[test]
fn a_pre_action_webhook_is_asked_once_about_each_event_it_wants() {
    use PreActionEvent::{ConversationAdd, MessageAdd};
    let reject = || PreActionResult::Reject;
    let captured = "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2); journal";
    let autocreated = text_of_route(&Case::new().configured(true).decide());
    let wants = |name| Some(vec![name]);
    let new = || Case::new().configured(true);
    for (case, expected) in [
        (Case::bound().asks(None), "ask onMessageAdd c1"),
        (
            Case::bound().asks(wants(EventName::OnMessageAdd)),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound().asks(wants(EventName::OnMessageAdded)),
            captured,
        ),
        (
            Case::bound().asks(wants(EventName::OnConversationAdd)),
            captured,
        ),
        (new().asks(None), "ask onConversationAdd new"),
        (
            new().asks(wants(EventName::OnConversationAdd)),
            "ask onConversationAdd new",
        ),
        (new().asks(wants(EventName::OnMessageAdd)), &autocreated),
        (
            Case::expired().configured(true).asks(None),
            "ask onConversationAdd new",
        ),
        // A fall-through calls no pre-action webhook.
        (
            Case::new().own_webhook().asks(None),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new().asks(None),
            "unroutable by none: journal with text",
        ),
        // The answer holds.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, publish()),
            captured,
        ),
        (
            new()
                .asks(None)
                .replied(ConversationAdd, None, 1, publish()),
            &autocreated,
        ),
        // For its event, conversation and generation only.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(2), 1, reject()),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 0, reject()),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound()
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "ask onMessageAdd c1",
        ),
        (
            new().asks(None).replied(MessageAdd, Some(1), 1, publish()),
            "ask onConversationAdd new",
        ),
        (
            new()
                .asks(None)
                .replied(ConversationAdd, None, 2, publish()),
            "ask onConversationAdd new",
        ),
        // A webhook that is gone has no say.
        (
            Case::bound().replied(MessageAdd, Some(1), 0, reject()),
            captured,
        ),
        // A reject leaves a journal entry, and an expired conversation to the sweep.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            "rejected by bound: journal with text",
        ),
        (
            Case::bound()
                .header(|header| header.state = State::Inactive)
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            "rejected by bound: journal with text",
        ),
        (
            new()
                .own_webhook()
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "rejected by address-configuration: journal with text",
        ),
        (
            Case::expired()
                .configured(true)
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "rejected by address-configuration: journal with text",
        ),
    ] {
        check(case, expected);
    }
    for (case, expected) in [
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            Some(conversation(1)),
        ),
        (
            new().asks(None).replied(ConversationAdd, None, 1, reject()),
            None,
        ),
    ] {
        let expected = Outcome::Rejected {
            conversation: expected,
        };
        assert_eq!(outcome(&case).outcome, expected);
    }
}

#[test]
fn a_services_webhooks_replace_the_accounts() {
    let asked = |case: &Case| match case.decide() {
        Decision::Ask(call) => (call.call.url.to_string(), call.webhook),
        other => panic!("{other:?}"),
    };
    let own = PreActionWebhook {
        scope: SettingsScope::Service,
        ..first_webhook()
    };
    let case = Case::bound().asks(None).service_asks();
    assert_eq!(asked(&case), ("https://example.com/own".to_owned(), own));
    // The reply of the account's webhook does not hold for the service's.
    let published = || PreActionResult::Publish(PreActionEdits::default());
    let replied = case.replied(PreActionEvent::MessageAdd, Some(1), 1, published());
    assert_eq!(asked(&replied), ("https://example.com/own".to_owned(), own));
}

#[test]
fn a_pre_action_webhook_gets_the_proposed_change() {
    let asked = |case: Case| match case.decide() {
        Decision::Ask(call) => *call,
        other => panic!("{other:?}"),
    };
    let mut case = Case::bound().asks(None);
    case.facts.settings.account.webhooks.on_timeout = OnTimeout::Reject;
    let expected = PreActionCall {
        event: PreActionEvent::MessageAdd,
        conversation: Some(conversation(1)),
        webhook: first_webhook(),
        call: call("https://example.com/pre"),
        on_timeout: OnTimeout::Reject,
        proposal: PreActionProposal::Message {
            conversation: conversation(1),
            author: pair(1).address().to_string(),
            participant: Some(participant(1)),
            body: "m1".to_owned(),
            media: Vec::new(),
            attributes: "{}".to_owned(),
        },
    };
    assert_eq!(asked(case), expected);
    let proposal = PreActionProposal::Conversation {
        friendly_name: None,
        unique_name: None,
        attributes: "{}".to_owned(),
        service: ConversationServiceSid::DEFAULT,
        messaging_service: MessagingServiceSid::DEFAULT,
        state: State::Active,
        pair: Some(pair(1)),
        body: Some("m1".to_owned()),
        media: Vec::new(),
    };
    assert_eq!(
        asked(Case::new().configured(true).asks(None)).proposal,
        proposal
    );
}

#[test]
fn a_pre_action_webhook_edits_what_it_was_asked_about() {
    let edits = PreActionEdits {
        friendly_name: Some("name".to_owned()),
        body: Some("body".to_owned()),
        author: Some("author".to_owned()),
        attributes: Some("{\"a\":1}".to_owned()),
    };
    let answer = PreActionResult::Publish(edits);
    let case = Case::bound().asks(None);
    let writes_bound =
        writes(&case.replied(PreActionEvent::MessageAdd, Some(1), 1, answer.clone()));
    let (_, message) = appended(&writes_bound, conversation(1)).message().unwrap();
    assert_eq!(
        (
            message.body.as_str(),
            message.author.as_str(),
            message.attributes.as_str()
        ),
        ("body", "author", "{\"a\":1}")
    );
    assert_eq!(
        (message.index, message.participant),
        (3, Some(participant(1)))
    );
    let case = Case::new().configured(true).asks(None);
    let writes_new = writes(&case.replied(PreActionEvent::ConversationAdd, None, 1, answer));
    let entry = appended(&writes_new, conversation(9));
    let (_, message) = entry.message().unwrap();
    assert_eq!(message.body, "m1");
    let named = |name: &Option<String>| name.as_deref() == Some("name");
    assert!(matches!(&entry.events[0], Event::ConversationAdded(s) if named(&s.friendly_name)));
    assert!(
        writes_new
            .iter()
            .any(|w| matches!(w, Write::PutMetadata(m) if named(&m.friendly_name)))
    );
}
