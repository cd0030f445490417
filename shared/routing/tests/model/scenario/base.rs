//! The first states of the table, made by the plans of `routing`.

use super::*;

/// One conversation with two pairs and a message, active; the same, inactive; with a few messages that did not ring, under
/// the webhook; with a few messages; with the first pair alone.
pub(super) fn read_bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        vec![
            read_base(&[1, 2], false, 1, false, 0),
            read_base(&[1, 2], true, 1, false, 0),
            read_base(&[1, 2], false, 4, true, dispatch::SWEEP_DISTANCE_S),
            read_base(&[1, 2], false, 3, false, 0),
            read_base(&[1], false, 1, false, 0),
        ]
    })
}

pub(super) const BASE_LAGS: usize = 2;

pub(super) const BASE_FEW: usize = 3;

fn read_base(consumers: &[u32], parked: bool, messages: usize, loud: bool, now: i64) -> Base {
    let mut building = Building::default();
    let only = building.create(None);
    for consumer in consumers {
        building.add(only, None, Some(*consumer));
    }
    if loud {
        building.loud = true;
        let post = support::url("https://example.com/post");
        building.account.webhooks = Webhooks::default().with_urls(None, Some(post));
    }
    for _ in 0..messages {
        building.post(only);
    }
    if parked {
        building.park(only);
    }
    // One ring of the first entries is still to come.
    building.table.appended.truncate(1);
    building.finish(now)
}

/// The first state of a table.
pub(super) struct Base {
    pub(super) table: Table,
    pub(super) history: History,
    pub(super) now: i64,
}

/// Two conversations: nothing bound; the first pair bound; both; the first and the conversation parked; both, and the
/// conversation past its closing time.
pub(super) fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        vec![
            base(&[], false, 0),
            base(&[1], false, 0),
            base(&[1, 2], false, 0),
            base(&[1], true, 0),
            base(&[1, 2], false, 601),
        ]
    })
}

fn base(consumers: &[u32], parked: bool, now: i64) -> Base {
    let mut building = Building::default();
    let first = building.create(TIMERS.closed_s);
    let second = building.create(None);
    for consumer in consumers {
        building.add(first, None, Some(*consumer));
    }
    building.add(first, Some("ann"), None);
    building.add(second, Some("ann"), None);
    building.post(first);
    if parked {
        building.park(first);
    }
    building.finish(now)
}

/// Makes a first state with the crate's own plans.
#[derive(Default)]
struct Building {
    table: Table,
    history: History,
    changes: u32,
    account: AccountSettings,
    loud: bool,
}

impl Building {
    fn finish(self, now: i64) -> Base {
        let Building {
            table,
            mut history,
            changes,
            ..
        } = self;
        assert!(changes <= BASE_CHANGES_MAX);
        assert_eq!(history.check(&table, &[]), Ok(()));
        Base {
            table,
            history,
            now,
        }
    }

    fn play<T>(
        &mut self,
        decide: impl FnOnce(&Table, Settings, ChangeRequest) -> Decision<T>,
    ) -> ConversationSid {
        self.changes += 1;
        let fresh = fresh(self.changes, 0, at(0));
        let request = ChangeRequest {
            fresh: &fresh,
            now: fresh.now,
            service: None,
            quiet: !self.loud,
            reply: None,
        };
        let Decision::Do(plan) = decide(
            &self.table,
            support::settings(self.account.clone()),
            request,
        ) else {
            panic!("the beginning of a table is a plan");
        };
        self.table.play(plan.writes);
        fresh.conversation
    }

    fn create(&mut self, closed_s: Option<u64>) -> ConversationSid {
        let new = NewConversation {
            closed_s,
            inactive_s: closed_s.and(TIMERS.inactive_s),
            ..new_conversation(None)
        };
        self.play(|_, settings, request| {
            conversation::create(&new, &ChangeFacts::new(settings, None, ()), request)
        })
    }

    fn add(&mut self, to: ConversationSid, identity: Option<&str>, consumer: Option<u32>) {
        let new = NewParticipant {
            identity: identity.map(str::to_owned),
            pair: consumer.map(pair),
            attributes: "{}".to_owned(),
        };
        self.play(|table, settings, request| {
            let own = AddFacts {
                address_is_ours: false,
                proxy_is_ours: true,
            };
            participant::add(
                &new,
                &ChangeFacts::new(settings, table.tail(to), own),
                request,
            )
        });
    }

    fn post(&mut self, to: ConversationSid) {
        let new = NewMessage {
            author: "system".to_owned(),
            body: "first".to_owned(),
            attributes: "{}".to_owned(),
        };
        self.play(|table, settings, request| {
            message::post(
                &new,
                &ChangeFacts::new(settings, table.tail(to), None),
                request,
            )
        });
    }

    fn park(&mut self, conversation: ConversationSid) {
        let edit = ConversationEdit {
            state: Some(State::Inactive),
            ..ConversationEdit::default()
        };
        self.play(|table, settings, request| {
            let metadata = table.metadata(conversation).cloned();
            let facts = ChangeFacts::new(settings, table.tail(conversation), metadata);
            conversation::update(&edit, &facts, request)
        });
    }
}
