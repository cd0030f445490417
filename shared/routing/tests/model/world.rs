//! The shared state of all processes: the table, the clock, the settings, chance, and the history of responses.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use routing::{
    AccountSettings, Conflict, ConversationSid, Facts, Fresh, Inbound, JournalEntry, MessageKey,
    Outcome, Pair, Plan, PreActionEdits, PreActionResult, Rule, Settings, State, Tail, Webhooks,
    Write,
};

use super::Procedure;
use super::dispatch::{Dispatch, REQUEST_S_MAX};
use super::promises::{Broken, History};
use super::rng::Rng;
use super::table::{Kind, Sent, Table, kind};
use crate::support;

/// How often a request may be sent before it comes through. Locks last as long as a commit, and answers are lost
/// seldom: a process that needs more never comes to an end.
const SENDS_MAX: usize = 400;

/// The faults. Each happens once in so many times; `None`: never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) answer_lost: Option<usize>,
    /// A copy of the request stays in the network and arrives later.
    pub(crate) delayed_copy: Option<usize>,
    /// Such a copy arrives at one in so many of the steps at which it could. `None`: as soon as any other step.
    pub(crate) copies_linger: Option<usize>,
    pub(crate) crash: Option<usize>,
    pub(crate) ring_lost: Option<usize>,
    pub(crate) ring_doubled: Option<usize>,
    /// A delivery does not reach the endpoint, or the carrier does not accept it.
    pub(crate) delivery_failed: Option<usize>,
    /// The endpoint or the carrier accepts a delivery, and its reply is lost.
    pub(crate) reply_lost: Option<usize>,
    /// Leases run out, and requests die, while their processes are held up.
    pub(crate) stalls: bool,
}

pub(crate) struct World {
    pub(crate) table: RefCell<Table>,
    pub(crate) history: RefCell<History>,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) faults: Faults,
    pub(crate) procedure: Procedure,
    /// No fault happens any more.
    pub(crate) healthy: Cell<bool>,
    /// How many REST changes are quiet: one in so many.
    pub(crate) quiet: Option<usize>,
    pub(crate) dispatch: Dispatch,
    pub(crate) marks: Cell<u32>,
    pub(crate) messages: Vec<Inbound>,
    pub(crate) keys: Vec<MessageKey>,
    pub(crate) pairs: [Pair; 2],
    /// The facts that no process changes.
    pub(crate) facts: Facts,
    pub(crate) account: RefCell<AccountSettings>,
    pub(crate) broken: RefCell<Option<Broken>>,
    pub(crate) now: Cell<i64>,
    /// Counts the steps of all tasks.
    pub(crate) steps: Cell<u64>,
    /// The commit that the process which moved last waits for.
    pub(crate) waits_for: Cell<Option<u64>>,
    pub(crate) delayed: RefCell<Vec<Vec<Write>>>,
    pub(crate) kinds: RefCell<BTreeSet<Kind>>,
    /// Whether autocreation is switched on, and since which step.
    switched: RefCell<Vec<(u64, bool)>>,
    /// Of each pair: whether nothing holds it now, and the last step at which that ended.
    free: [Cell<(bool, u64)>; 2],
    holders: [RefCell<Holders>; 2],
    fresh: Cell<u32>,
    pub(crate) trace: Option<RefCell<Vec<String>>>,
}

/// The conversations that a binding named, one after the other, and the step since which it did.
type Holders = Vec<(u64, Option<ConversationSid>)>;

/// How a run begins.
pub(crate) struct Beginning {
    pub(crate) table: Table,
    pub(crate) history: History,
    pub(crate) now: i64,
    pub(crate) autocreation: bool,
    pub(crate) own_webhook: bool,
    pub(crate) pre_webhook: bool,
    pub(crate) post_webhook: bool,
    pub(crate) quiet: Option<usize>,
    pub(crate) dispatch: Dispatch,
    pub(crate) messages: Vec<Inbound>,
}

impl World {
    pub(crate) fn new(
        beginning: Beginning,
        rng: Rng,
        faults: Faults,
        procedure: Procedure,
        trace: bool,
    ) -> World {
        let sms = beginning
            .own_webhook
            .then(|| support::call("https://example.com/sms"));
        let pre = beginning
            .pre_webhook
            .then(|| support::url("https://example.com/pre"));
        let post = beginning
            .post_webhook
            .then(|| support::url("https://example.com/post"));
        let world = World {
            healthy: Cell::new(false),
            quiet: beginning.quiet,
            dispatch: beginning.dispatch,
            marks: Cell::new(0),
            keys: beginning.messages.iter().map(|m| m.key.clone()).collect(),
            messages: beginning.messages,
            table: RefCell::new(beginning.table),
            history: RefCell::new(beginning.history),
            rng: RefCell::new(rng),
            faults,
            procedure,
            pairs: [support::pair(1), support::pair(2)],
            facts: Facts {
                number: Some(support::number(sms)),
                ..Facts::default()
            },
            account: RefCell::new(AccountSettings {
                webhooks: Webhooks::default().with_urls(pre, post),
                timers: super::scenario::TIMERS,
                ..AccountSettings::default()
            }),
            broken: RefCell::default(),
            now: Cell::new(beginning.now),
            steps: Cell::new(0),
            waits_for: Cell::default(),
            delayed: RefCell::default(),
            kinds: RefCell::default(),
            switched: RefCell::new(vec![(0, beginning.autocreation)]),
            free: Default::default(),
            holders: Default::default(),
            fresh: Cell::new(super::scenario::BASE_CHANGES_MAX),
            trace: trace.then(RefCell::default),
        };
        world.observe();
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        support::at(self.now.get())
    }

    /// The time since a process read the settings: by chance, short or long.
    pub(crate) fn settings_age(&self) -> Duration {
        match self.below(2) {
            0 => Duration::ZERO,
            _ => Duration::MAX,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        support::settings(self.account.borrow().clone())
    }

    /// The ids of another change. `message` is the message that causes it; 0: none.
    pub(crate) fn fresh(&self, message: u32) -> Fresh {
        self.fresh.set(self.fresh.get() + 1);
        support::fresh(self.fresh.get(), message, self.now())
    }

    pub(crate) fn below(&self, n: usize) -> usize {
        self.rng.borrow_mut().below(n)
    }

    pub(crate) fn pick<T: Clone>(&self, of: &[T]) -> T {
        self.rng.borrow_mut().pick(of)
    }

    pub(crate) fn shuffled<const N: usize>(&self, mut items: [usize; N]) -> [usize; N] {
        for last in (1..N).rev() {
            items.swap(last, self.below(last + 1));
        }
        items
    }

    /// When a request that begins now has no time left, where time matters.
    pub(crate) fn request_until(&self) -> Option<Timestamp> {
        (!self.dispatch.consumers.is_empty()).then(|| support::at(self.now.get() + REQUEST_S_MAX))
    }

    pub(crate) fn happens(&self, fault: Option<usize>) -> bool {
        !self.healthy.get() && fault.is_some_and(|n| self.rng.borrow_mut().one_in(n))
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace
                .borrow_mut()
                .push(format!("{}: {}", self.steps.get(), line()));
        }
    }

    pub(crate) fn breaks(&self, broken: Broken) {
        self.broken.borrow_mut().get_or_insert(broken);
    }

    pub(crate) fn autocreation(&self) -> bool {
        self.switched.borrow().last().is_some_and(|(_, on)| *on)
    }

    pub(crate) fn switch(&self) {
        let on = !self.autocreation();
        self.note(|| format!("autocreation := {on}"));
        self.switched.borrow_mut().push((self.steps.get(), on));
    }

    /// The URL of the post-action webhook appears, or goes.
    pub(crate) fn switch_post_url(&self) {
        let mut account = self.account.borrow_mut();
        let (pre, post) = (account.webhooks.pre_url.clone(), &account.webhooks.post_url);
        let url = match post {
            Some(_) => None,
            None => Some(support::url("https://example.com/post")),
        };
        if url.is_none() {
            self.history.borrow_mut().post_generation_ended = account.webhooks.post_generation;
        }
        self.note(|| format!("post-action URL := {url:?}"));
        account.webhooks = account.webhooks.clone().with_urls(pre, url);
    }

    fn was_switched(&self, to: bool, began: u64) -> bool {
        let switched = self.switched.borrow();
        let first = switched.iter().rposition(|(step, _)| *step <= began);
        switched[first.unwrap_or_default()..]
            .iter()
            .any(|(_, on)| *on == to)
    }

    /// Whether no conversation held the message's pair at some step since `since`.
    fn was_free(&self, inbound: &Inbound, since: u64) -> bool {
        let (free, ended) = self.free[self.pair_index(inbound)].get();
        free || ended > since
    }

    /// Whether the binding of the message's pair named the conversation at some step since `since`.
    fn was_bound(&self, inbound: &Inbound, conversation: ConversationSid, since: u64) -> bool {
        let holders = self.holders[self.pair_index(inbound)].borrow();
        let ends = holders
            .iter()
            .skip(1)
            .map(|(step, _)| *step)
            .chain([u64::MAX]);
        holders
            .iter()
            .zip(ends)
            .any(|((_, holder), end)| *holder == Some(conversation) && end > since)
    }

    fn pair_index(&self, inbound: &Inbound) -> usize {
        let pair = |pair: &Pair| *pair.address() == inbound.from;
        self.pairs.iter().position(pair).unwrap()
    }

    /// Notes which conversation holds each pair. The schedule calls it after every step.
    pub(crate) fn observe(&self) {
        let table = self.table.borrow();
        for (pair, holders) in self.pairs.iter().zip(&self.holders) {
            let holder = table.binding(pair).map(|binding| binding.conversation);
            let mut holders = holders.borrow_mut();
            if holders.last().is_none_or(|(_, last)| *last != holder) {
                holders.push((self.steps.get(), holder));
            }
        }
        for (pair, free) in self.pairs.iter().zip(&self.free) {
            // The log of a conversation that closes may be visible before its binding goes.
            let over = |conversation| {
                let tail = table.tail(conversation);
                tail.is_some_and(|Tail { header, .. }| {
                    header.state == State::Closed || header.expired(self.now())
                })
            };
            let now = table
                .binding(pair)
                .is_none_or(|binding| over(binding.conversation));
            let (was, ended) = free.get();
            free.set((
                now,
                match was && !now {
                    true => self.steps.get(),
                    false => ended,
                },
            ));
        }
    }

    /// A message was committed as `entry`, by a process that began at step `began`: the facts that it must have seen
    /// were true at some time since. A rejection must be true at some time since step `replied`, when the pre-action
    /// webhook replied.
    pub(crate) fn committed(&self, entry: &JournalEntry, began: u64, replied: u64) {
        let (free_since, on) = match entry.outcome {
            Outcome::Captured { .. } => (None, None),
            Outcome::Rejected {
                conversation: Some(holder),
            } => {
                if !self.was_bound(&entry.inbound, holder, replied) {
                    self.breaks(format!(
                        "the webhook of {holder}, which holds nothing, rejects"
                    ));
                }
                (None, None)
            }
            Outcome::Rejected { conversation: None } => (Some(replied), Some(true)),
            Outcome::Autocreated { .. } => (Some(began), Some(true)),
            Outcome::Forwarded { .. } | Outcome::Unroutable => (Some(began), Some(false)),
        };
        if free_since.is_some_and(|step| !self.was_free(&entry.inbound, step)) {
            self.breaks(format!("a bound message became {:?}", entry.outcome));
        }
        if on.is_some_and(|on| !self.was_switched(on, began)) {
            self.breaks(format!(
                "at once: {:?} against the settings ({:?})",
                entry.outcome,
                matches!(entry.why.rule, Rule::AddressConfiguration(_))
            ));
        }
    }

    /// A message is handed to its number's own webhook.
    pub(crate) fn forward(&self, key: &MessageKey) {
        let table = self.table.borrow();
        let journaled = table
            .journal(key)
            .is_some_and(|journal| matches!(journal.outcome, Outcome::Forwarded { .. }));
        if !journaled {
            self.breaks(format!("{key:?} is forwarded before it is journaled"));
        }
    }

    pub(crate) fn pre_action_result(&self) -> PreActionResult {
        match self.below(4) {
            0 => PreActionResult::Reject,
            1 => PreActionResult::Publish(PreActionEdits {
                body: Some("edited".to_owned()),
                friendly_name: Some("edited".to_owned()),
                ..PreActionEdits::default()
            }),
            _ => PreActionResult::Publish(PreActionEdits::default()),
        }
    }

    /// Carries a plan out: sends it until it is known what became of it.
    pub(crate) async fn commit<O>(&self, plan: &Plan<O>) -> Result<(), Conflict> {
        if plan.writes.is_empty() {
            return Ok(());
        }
        self.touches_each_item_once(&plan.writes);
        // A copy that stays in the network is an earlier request whose result is unknown.
        let mut in_doubt = false;
        for _ in 0..SENDS_MAX {
            step().await;
            if self.happens(self.faults.delayed_copy) {
                in_doubt = true;
                self.note(|| "a copy of the next request stays in the network".to_owned());
                self.delayed.borrow_mut().push(plan.writes.clone());
            }
            let sent = self.table.borrow_mut().send(&plan.writes);
            match sent {
                Sent::Locked => self.note(|| "locked".to_owned()),
                Sent::Failed(conflict) => {
                    self.note(|| format!("failed: {:?}", summary(&conflict)));
                    if self.answer_lost() {
                        in_doubt = true;
                        continue;
                    }
                    let recognized = self.procedure != Procedure::OwnChangeNotRecognized;
                    if recognized && conflict.is_own(&plan.writes) {
                        return Ok(());
                    }
                    return Err(Conflict {
                        in_doubt,
                        ..conflict
                    });
                }
                Sent::Begun(id) => {
                    self.note(|| {
                        let kinds: Vec<_> =
                            plan.writes.iter().map(|w| (kind(w).0, w.key())).collect();
                        format!("commit {id}: {kinds:?}")
                    });
                    while self.table.borrow().is_under_way(id) {
                        self.waits_for.set(Some(id));
                        step().await;
                    }
                    if !self.answer_lost() {
                        return Ok(());
                    }
                    in_doubt = true;
                }
            }
        }
        self.breaks("bounded: a request never comes through".to_owned());
        Ok(())
    }

    pub(crate) fn answer_lost(&self) -> bool {
        let lost = self.happens(self.faults.answer_lost);
        if lost {
            self.note(|| "the answer is lost: the same again".to_owned());
        }
        lost
    }

    fn touches_each_item_once(&self, writes: &[Write]) {
        for (index, write) in writes.iter().enumerate() {
            self.kinds.borrow_mut().insert(kind(write));
            let key = write.key();
            if writes[..index].iter().any(|other| other.key() == key) {
                self.breaks(format!("two writes of one plan touch {key:?}"));
            }
        }
    }
}

fn summary(conflict: &Conflict) -> Vec<&routing::ItemKey> {
    conflict.found.iter().map(|(key, _)| key).collect()
}

/// Lets other tasks take steps. The code up to the next `step` is one atomic step.
pub(crate) async fn step() {
    let mut waited = false;
    poll_fn(|_| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
