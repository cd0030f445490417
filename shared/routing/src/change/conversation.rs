//! Create, update, close and delete a conversation.

use jiff::SignedDuration;

use crate::cause::Cause;
use crate::change::{Refusal, open};
use crate::draft::{Draft, tail_after};
use crate::entry::{Event, Snapshot};
use crate::header::Header;
use crate::metadata::Metadata;
use crate::plan::{Plan, Write};
use crate::pre_action::{
    PreActionCall, PreActionEvent, PreActionProposal, PreActionReply, PreActionResult,
    pre_action_result,
};
use crate::sid::{ConversationServiceSid, MessagingServiceSid};
use crate::state::{Reason, State, Transition};
use crate::tail::Tail;
use crate::timers::Timers;

/// A conversation to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    pub service: ConversationServiceSid,
    pub messaging_service: MessagingServiceSid,
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    pub attributes: String,
    pub state: State,
    /// What is not given comes from the account's defaults; 0 is no timer.
    pub inactive_s: Option<u64>,
    pub closed_s: Option<u64>,
}

/// What is to change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationEdit {
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    pub attributes: Option<String>,
    pub state: Option<State>,
    /// 0 removes the timer.
    pub inactive_s: Option<u64>,
    pub closed_s: Option<u64>,
}

/// A deleted conversation is purged no sooner than this: no writer holds a view that old.
const PURGE_AFTER: SignedDuration = SignedDuration::from_hours(24);

fn timer(wish: Option<u64>, current: Option<u64>) -> Option<u64> {
    wish.map_or(current, |seconds| (seconds > 0).then_some(seconds))
}

/// `Ok(Err(_))`: a pre-action webhook is to be asked first. `ask_webhooks`: the request wants webhooks.
/// The outcome is the new metadata and tail; `None`: the webhook rejected it.
#[expect(
    clippy::type_complexity,
    reason = "the three ways out are told apart by every caller"
)]
pub fn create(
    wish: NewConversation,
    reply: Option<&PreActionReply>,
    cause: Cause,
) -> Result<Result<Plan<Option<(Metadata, Tail)>>, Box<PreActionCall>>, Refusal> {
    match wish.state {
        State::Closed => return Err(Refusal::BornClosed),
        State::Initializing => return Err(Refusal::StateForbidden),
        State::Active | State::Inactive => {}
    }
    let mut friendly_name = wish.friendly_name;
    if !cause.quiet {
        let answer = pre_action_result(
            cause.settings.webhooks,
            PreActionEvent::ConversationAdd,
            None,
            reply,
            || PreActionProposal::Conversation {
                friendly_name: friendly_name.clone(),
                unique_name: wish.unique_name.clone(),
                attributes: wish.attributes.clone(),
                service: wish.service,
                messaging_service: wish.messaging_service,
                state: wish.state,
                pair: None,
                body: None,
                media: Vec::new(),
            },
        );
        match answer {
            Err(call) => return Ok(Err(call)),
            Ok(PreActionResult::Reject) => {
                return Ok(Ok(Plan {
                    outcome: None,
                    writes: Vec::new(),
                }));
            }
            Ok(PreActionResult::Publish(edits)) => {
                friendly_name = edits.friendly_name.or(friendly_name)
            }
        }
    }
    let (fresh, conversation) = (cause.fresh, cause.fresh.conversation);
    let defaults = cause.settings.timers;
    let metadata = Metadata {
        conversation,
        version: 1,
        service: wish.service,
        friendly_name,
        unique_name: wish.unique_name,
        attributes: wish.attributes,
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
        service: wish.service,
        messaging_service: wish.messaging_service,
        pairs: Vec::new(),
        participants: 0,
        message_index: 0,
        event_number: 0,
        last_activity: fresh.now,
        timers: metadata.timers,
        post: None,
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
    Ok(Ok(Plan {
        outcome: Some((metadata, tail)),
        writes,
    }))
}

/// The outcome is the metadata and tail afterwards; without writes where nothing changes.
pub fn update(
    edit: ConversationEdit,
    metadata: &Metadata,
    tail: &Tail,
    cause: Cause,
) -> Result<Plan<(Metadata, Tail)>, Refusal> {
    let before = open(tail)?;
    let transition = edit.state.map(|to| (to, before.state.to(to, Reason::Api)));
    let to = match transition {
        Some((_, Transition::Final)) => return Err(Refusal::Closed),
        Some((_, Transition::Forbidden)) => return Err(Refusal::StateForbidden),
        Some((to, Transition::Change)) => Some(to),
        Some((_, Transition::Same)) | None => None,
    };
    let mut after = metadata.clone();
    after.friendly_name = edit.friendly_name.or(after.friendly_name);
    after.unique_name = edit
        .unique_name
        .filter(|name| !name.is_empty())
        .or(after.unique_name);
    after.attributes = edit.attributes.unwrap_or(after.attributes);
    after.timers = Timers {
        inactive_s: timer(edit.inactive_s, before.timers.inactive_s),
        closed_s: timer(edit.closed_s, before.timers.closed_s),
    };
    let edited = after != *metadata || after.timers != before.timers;
    if !edited && to.is_none() {
        return Ok(Plan {
            outcome: (after, tail.clone()),
            writes: Vec::new(),
        });
    }

    let (conversation, service) = (tail.conversation, metadata.service);
    let mut draft = Draft::after(cause, tail);
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
    Ok(Plan {
        outcome: (after, tail),
        writes,
    })
}

/// The conversation is gone for readers at once; its log ends in a terminal slot and is purged later.
pub fn delete(metadata: &Metadata, tail: &Tail, cause: Cause) -> Result<Plan<()>, Refusal> {
    if tail.header.terminal {
        return Err(Refusal::Deleted);
    }
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
    Ok(Plan {
        outcome: (),
        writes,
    })
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
