//! Post, edit and delete a message.

use crate::cause::Cause;
use crate::change::{Refusal, open};
use crate::draft::Draft;
use crate::entry::{EarlierMessage, Entry, Event};
use crate::message::{Message, Revision};
use crate::plan::{Plan, Write};
use crate::pre_action::{
    PreActionCall, PreActionEvent, PreActionProposal, PreActionReply, PreActionResult,
    pre_action_result,
};
use crate::sid::{MessageSid, ParticipantSid};
use crate::state::{Reason, State};
use crate::tail::Tail;

/// A message to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    pub author: String,
    /// The participant with the author's identity; one with the author's address is found in the header.
    pub participant: Option<ParticipantSid>,
    pub body: String,
    pub attributes: String,
}

/// What is to change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageEdit {
    pub author: Option<String>,
    pub body: Option<String>,
    pub attributes: Option<String>,
}

/// What is to be done with a message that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostDecision {
    Ask(Box<PreActionCall>),
    /// The SID and message that the plan adds.
    Do(Box<Plan<(MessageSid, Message)>>),
    /// By a pre-action webhook.
    Rejected,
}

/// Usually one conditional put: the slot.
pub fn post(
    wish: NewMessage,
    tail: &Tail,
    reply: Option<&PreActionReply>,
    cause: Cause,
) -> Result<PostDecision, Refusal> {
    let header = open(tail)?;
    let by_address = header
        .pairs
        .iter()
        .find(|held| held.pair.address().to_string() == wish.author);
    let mut message = Message {
        index: header.message_index,
        participant: wish.participant.or(by_address.map(|held| held.participant)),
        author: wish.author,
        body: wish.body,
        media: Vec::new(),
        attributes: wish.attributes,
    };
    if !cause.quiet {
        let conversation = tail.conversation;
        let answer = pre_action_result(
            cause.settings.webhooks,
            PreActionEvent::MessageAdd,
            Some(conversation),
            reply,
            || PreActionProposal::Message {
                conversation,
                author: message.author.clone(),
                participant: message.participant,
                body: message.body.clone(),
                media: Vec::new(),
                attributes: message.attributes.clone(),
            },
        );
        match answer {
            Err(call) => return Ok(PostDecision::Ask(call)),
            Ok(PreActionResult::Reject) => return Ok(PostDecision::Rejected),
            Ok(PreActionResult::Publish(edits)) => edits.apply(&mut message),
        }
    }
    let mut draft = Draft::after(cause, tail);
    draft.push(Event::MessageAdded(message.clone()));
    let mut writes = Vec::new();
    if header.state == State::Inactive {
        writes.extend(draft.set_state(State::Active, Reason::Event));
        writes.extend(draft.state_copy());
        writes.extend(draft.timer());
    }
    let outcome = (draft.message_sid(), message);
    writes.push(draft.finish());
    Ok(PostDecision::Do(Box::new(Plan { outcome, writes })))
}

/// `entry` added the message; `revision` is its current version, if it was edited before.
/// The outcome is the revision afterwards, or `None` where nothing changes.
pub fn edit(
    edit: MessageEdit,
    entry: &Entry,
    revision: Option<&Revision>,
    tail: &Tail,
    cause: Cause,
) -> Result<Plan<Option<Revision>>, Refusal> {
    open(tail)?;
    let Some((sid, current)) = current(entry, revision) else {
        return Err(Refusal::Deleted);
    };
    let mut after = current.clone();
    after.body = edit.body.unwrap_or(after.body);
    after.author = edit.author.unwrap_or(after.author);
    after.attributes = edit.attributes.unwrap_or(after.attributes);
    if after == *current {
        return Ok(Plan {
            outcome: None,
            writes: Vec::new(),
        });
    }
    let mut draft = Draft::after(cause, tail);
    draft.push(Event::MessageUpdated(EarlierMessage {
        sid,
        date_created: entry.at,
        message: after.clone(),
    }));
    let revision = next(entry, revision, Some(after), cause);
    let writes = vec![
        Write::PutRevision {
            conversation: tail.conversation,
            revision: revision.clone(),
        },
        draft.finish(),
    ];
    Ok(Plan {
        outcome: Some(revision),
        writes,
    })
}

/// The message is gone for readers; its slot and its index stay.
pub fn delete(
    entry: &Entry,
    revision: Option<&Revision>,
    tail: &Tail,
    cause: Cause,
) -> Result<Plan<()>, Refusal> {
    open(tail)?;
    let Some((sid, current)) = current(entry, revision) else {
        return Err(Refusal::Deleted);
    };
    let mut draft = Draft::after(cause, tail);
    draft.push(Event::MessageRemoved(EarlierMessage {
        sid,
        date_created: entry.at,
        message: current.clone(),
    }));
    let conversation = tail.conversation;
    let writes = vec![
        Write::PutRevision {
            conversation,
            revision: next(entry, revision, None, cause),
        },
        Write::Blank {
            conversation,
            slot: entry.slot,
        },
        draft.finish(),
    ];
    Ok(Plan {
        outcome: (),
        writes,
    })
}

fn current<'a>(
    entry: &'a Entry,
    revision: Option<&'a Revision>,
) -> Option<(MessageSid, &'a Message)> {
    let (sid, added) = entry.message()?;
    let message = match revision {
        Some(revision) => revision.message.as_ref()?,
        None => added,
    };
    Some((sid, message))
}

fn next(
    entry: &Entry,
    revision: Option<&Revision>,
    message: Option<Message>,
    cause: Cause,
) -> Revision {
    let version = revision.map_or(1, |revision| revision.version + 1);
    Revision {
        slot: entry.slot,
        version,
        message,
        date_updated: cause.fresh.now,
    }
}
