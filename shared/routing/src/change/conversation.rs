//! Create, update, close and delete a conversation.

use jiff::SignedDuration;

use crate::change::facts::{ChangeFacts, ChangeRequest};
use crate::decision::{Decision, Halt};
use crate::draft::{Draft, tail_after};
use crate::entry::{Event, Snapshot};
use crate::header::Header;
use crate::metadata::Metadata;
use crate::plan::{Plan, Write};
use crate::pre_action::{PreActionEvent, PreActionProposal, PreActionResult, pre_action_result};
use crate::refusal::Refusal;
use crate::sid::MessagingServiceSid;
use crate::state::{Reason, State, Transition};
use crate::tail::Tail;
use crate::timers::Timers;

/// A new conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// `None`: the account's default one.
    pub messaging_service: Option<MessagingServiceSid>,
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    pub attributes: String,
    pub state: State,
    /// `None`: the timers in force for new conversations; 0: no timer.
    pub inactive_s: Option<u64>,
    pub closed_s: Option<u64>,
}

/// The changes; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationEdit {
    pub messaging_service: Option<MessagingServiceSid>,
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    pub attributes: Option<String>,
    pub state: Option<State>,
    /// 0 removes the timer.
    pub inactive_s: Option<u64>,
    pub closed_s: Option<u64>,
}

/// A deleted conversation is purged at the earliest so long after its deletion. No request lasts as long, so no writer
/// still holds a view of the log from before the deletion.
const PURGE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The timer in seconds that a wish sets.
fn timer(wish: Option<u64>, current: Option<u64>) -> Option<u64> {
    wish.map_or(current, |seconds| (seconds > 0).then_some(seconds))
}

/// Creates a conversation. The outcome is its metadata and its tail. Facts: there is no log yet.
pub fn create(
    wish: &NewConversation,
    facts: &ChangeFacts<()>,
    request: ChangeRequest,
) -> Decision<(Metadata, Tail)> {
    plan_to_create(wish, facts, &request).into()
}

fn plan_to_create(
    wish: &NewConversation,
    facts: &ChangeFacts<()>,
    request: &ChangeRequest,
) -> Result<Plan<(Metadata, Tail)>, Halt> {
    facts.service_exists(request)?;
    facts.no_obstacle(request)?;
    match wish.state {
        State::Closed => return Err(Refusal::BornClosed.into()),
        State::Initializing => return Err(Refusal::StateForbidden.into()),
        State::Active | State::Inactive => {}
    }
    let cause = facts.cause(request)?;
    let service = cause.settings.service;
    let messaging_service = wish
        .messaging_service
        .unwrap_or(facts.settings.account.default_messaging_service);
    let mut friendly_name = wish.friendly_name.clone();
    if !cause.quiet {
        let result = pre_action_result(
            cause.settings,
            PreActionEvent::ConversationAdd,
            None,
            request.reply,
            || PreActionProposal::Conversation {
                friendly_name: friendly_name.clone(),
                unique_name: wish.unique_name.clone(),
                attributes: wish.attributes.clone(),
                service,
                messaging_service,
                state: wish.state,
                pair: None,
                body: None,
                media: Vec::new(),
            },
        )?;
        match result {
            PreActionResult::Reject => return Err(Refusal::Rejected.into()),
            PreActionResult::Publish(edits) => {
                friendly_name = edits.friendly_name.or(friendly_name)
            }
        }
    }
    let (fresh, conversation) = (cause.fresh, cause.fresh.conversation);
    let defaults = cause.settings.timers;
    let metadata = Metadata {
        conversation,
        version: 1,
        service,
        friendly_name,
        unique_name: wish.unique_name.clone(),
        attributes: wish.attributes.clone(),
        state: wish.state,
        timers: Timers {
            inactive_s: timer(wish.inactive_s, defaults.inactive_s),
            closed_s: timer(wish.closed_s, defaults.closed_s),
        },
        date_created: fresh.now,
        date_updated: fresh.now,
    };
    let header = Header {
        state: wish.state,
        service,
        messaging_service,
        pairs: Vec::new(),
        participants: 0,
        message_index: 0,
        event_number: 0,
        last_activity: fresh.now,
        timers: metadata.timers,
        post: None,
        posts_before: Vec::new(),
        terminal: false,
    };
    let mut draft = Draft::first(cause, conversation, header);
    draft.push(Event::ConversationAdded(snapshot(&metadata)));
    let mut writes = vec![Write::PutMetadata(metadata.clone())];
    writes.extend(metadata.unique_name.clone().map(|name| Write::ClaimName {
        service: metadata.service,
        name,
        conversation,
    }));
    writes.extend(draft.timer());
    writes.push(draft.finish());
    let tail = tail_after(&writes);
    Ok(Plan::new((metadata, tail), writes))
}

/// The outcome is the metadata and the tail afterwards; without writes where nothing changes. Facts: `None` is no such
/// conversation.
pub fn update(
    edit: &ConversationEdit,
    facts: &ChangeFacts<Option<Metadata>>,
    request: ChangeRequest,
) -> Decision<(Metadata, Tail)> {
    plan_to_update(edit, facts, &request).into()
}

fn plan_to_update(
    edit: &ConversationEdit,
    facts: &ChangeFacts<Option<Metadata>>,
    request: &ChangeRequest,
) -> Result<Plan<(Metadata, Tail)>, Halt> {
    facts.visible(request)?;
    let metadata = facts.own.as_ref().ok_or(Refusal::NotFound)?;
    let (tail, cause) = facts.changeable(request)?;
    let before = &tail.header;
    let transition = edit.state.map(|to| (to, before.state.to(to, Reason::Api)));
    let to = match transition {
        Some((_, Transition::Final)) => return Err(Refusal::Closed.into()),
        Some((_, Transition::Forbidden)) => return Err(Refusal::StateForbidden.into()),
        Some((to, Transition::Change)) => Some(to),
        Some((_, Transition::Same)) | None => None,
    };
    let mut after = metadata.clone();
    after.friendly_name = edit.friendly_name.clone().or(after.friendly_name);
    after.unique_name = edit
        .unique_name
        .clone()
        .filter(|name| !name.is_empty())
        .or(after.unique_name);
    after.attributes = edit.attributes.clone().unwrap_or(after.attributes);
    after.timers = Timers {
        inactive_s: timer(edit.inactive_s, before.timers.inactive_s),
        closed_s: timer(edit.closed_s, before.timers.closed_s),
    };
    let messaging_service = edit.messaging_service.unwrap_or(before.messaging_service);
    let edited = after != *metadata
        || after.timers != before.timers
        || messaging_service != before.messaging_service;
    if !edited && to.is_none() {
        return Ok(Plan::new((after, tail.clone()), Vec::new()));
    }

    let (conversation, service) = (tail.conversation, metadata.service);
    let mut draft = Draft::after(cause, tail);
    draft.header.messaging_service = messaging_service;
    let mut writes = Vec::new();
    if after.timers != before.timers {
        draft.header.timers = after.timers;
        draft.count_activity();
    }
    if edited {
        draft.push(Event::ConversationUpdated(snapshot(&after)));
    }
    if let Some(to) = to {
        writes.extend(draft.set_state(to, Reason::Api));
        after.state = to;
    }
    if draft.header.timers != before.timers || to.is_some() {
        writes.extend(draft.timer());
    }
    if after.unique_name != metadata.unique_name {
        writes.extend(after.unique_name.clone().map(|name| Write::ClaimName {
            service,
            name,
            conversation,
        }));
        writes.extend(metadata.unique_name.clone().map(|name| Write::ReleaseName {
            service,
            name,
            holder: conversation,
        }));
    }
    after.version += 1;
    after.date_updated = cause.fresh.now;
    writes.push(Write::PutMetadata(after.clone()));
    writes.push(draft.finish());
    let tail = tail_after(&writes);
    Ok(Plan::new((after, tail), writes))
}

/// Deletes the conversation for readers at once; its log ends in a terminal slot and is purged later.
/// A closed conversation, or one past its closing time, can be deleted too. Facts: `None` is no such conversation.
pub fn delete(facts: &ChangeFacts<Option<Metadata>>, request: ChangeRequest) -> Decision<()> {
    plan_to_delete(facts, &request).into()
}

fn plan_to_delete(
    facts: &ChangeFacts<Option<Metadata>>,
    request: &ChangeRequest,
) -> Result<Plan<()>, Halt> {
    let tail = facts.visible(request)?;
    let metadata = facts.own.as_ref().ok_or(Refusal::NotFound)?;
    let cause = facts.cause(request)?;
    let (conversation, service) = (tail.conversation, metadata.service);
    let mut draft = Draft::after(cause, tail);
    let mut writes = draft.release_all();
    draft.push(Event::ConversationRemoved {
        state: tail.header.state,
        snapshot: snapshot(metadata),
    });
    draft.header.state = State::Closed;
    draft.header.terminal = true;
    draft.count_activity();
    writes.extend(metadata.unique_name.clone().map(|name| Write::ReleaseName {
        service,
        name,
        holder: conversation,
    }));
    writes.extend(draft.timer());
    writes.push(Write::DeleteMetadata {
        conversation,
        version: metadata.version,
    });
    let due = cause
        .fresh
        .now
        .checked_add(PURGE_AFTER)
        .unwrap_or(jiff::Timestamp::MAX);
    writes.push(Write::PutPurge { conversation, due });
    writes.push(draft.finish());
    Ok(Plan::new((), writes))
}

fn snapshot(metadata: &Metadata) -> Snapshot {
    Snapshot {
        friendly_name: metadata.friendly_name.clone(),
        unique_name: metadata.unique_name.clone(),
        attributes: metadata.attributes.clone(),
        date_created: metadata.date_created,
        pair: None,
    }
}
