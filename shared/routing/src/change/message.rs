//! Post, edit and delete a message.

use jiff::Timestamp;

use crate::cause::Cause;
use crate::change::facts::{ChangeFacts, ChangeRequest};
use crate::decision::{Decision, Halt};
use crate::draft::Draft;
use crate::entry::{EarlierMessage, Entry, Event};
use crate::message::{Message, Revision};
use crate::plan::{Plan, Write};
use crate::pre_action::{PreActionEvent, PreActionProposal, PreActionResult, pre_action_result};
use crate::refusal::Refusal;
use crate::sid::{MessageSid, ParticipantSid};
use crate::state::{Reason, State};

/// A new message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// An identity, an address, or any other name.
    pub author: String,
    pub body: String,
    pub attributes: String,
}

/// The changes; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageEdit {
    pub author: Option<String>,
    pub body: Option<String>,
    pub attributes: Option<String>,
}

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub sid: MessageSid,
    pub message: Message,
    pub at: Timestamp,
}

/// Adds a message: usually one conditional put, the slot. Facts: the participant with the author's identity; a
/// participant with the author's address is found in the header.
pub fn post(
    wish: &NewMessage,
    facts: &ChangeFacts<Option<ParticipantSid>>,
    request: ChangeRequest,
) -> Decision<Posted> {
    plan_to_post(wish, facts, &request).into()
}

fn plan_to_post(
    wish: &NewMessage,
    facts: &ChangeFacts<Option<ParticipantSid>>,
    request: &ChangeRequest,
) -> Result<Plan<Posted>, Halt> {
    let (tail, cause) = facts.changeable(request)?;
    let header = &tail.header;
    let by_address = header
        .pairs
        .iter()
        .find(|held| held.pair.address().to_string() == wish.author);
    let mut message = Message {
        index: header.message_index,
        participant: facts.own.or(by_address.map(|held| held.participant)),
        author: wish.author.clone(),
        body: wish.body.clone(),
        media: Vec::new(),
        attributes: wish.attributes.clone(),
    };
    if !cause.quiet {
        let conversation = tail.conversation;
        let result = pre_action_result(
            cause.settings,
            PreActionEvent::MessageAdd,
            Some(conversation),
            request.reply,
            || PreActionProposal::Message {
                conversation,
                author: message.author.clone(),
                participant: message.participant,
                body: message.body.clone(),
                media: Vec::new(),
                attributes: message.attributes.clone(),
            },
        )?;
        match result {
            PreActionResult::Reject => return Err(Refusal::Rejected.into()),
            PreActionResult::Publish(edits) => edits.apply(&mut message),
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
    let outcome = Posted {
        sid: draft.message_sid(),
        message,
        at: cause.fresh.now,
    };
    writes.push(draft.finish());
    Ok(Plan::new(outcome, writes))
}

/// The entry that added a message, and its current version if it was edited or deleted before. `None`: there is no such
/// entry.
pub type MessageFacts = Option<(Entry, Option<Revision>)>;

/// The outcome is the message as [`MessageFacts`] has it, afterwards; without writes where nothing changes.
pub fn edit(
    edit: &MessageEdit,
    facts: &ChangeFacts<MessageFacts>,
    request: ChangeRequest,
) -> Decision<(Entry, Option<Revision>)> {
    plan_to_edit(edit, facts, &request).into()
}

fn plan_to_edit(
    edit: &MessageEdit,
    facts: &ChangeFacts<MessageFacts>,
    request: &ChangeRequest,
) -> Result<Plan<(Entry, Option<Revision>)>, Halt> {
    let (entry, revision, sid, current) = current(facts, request)?;
    let (tail, cause) = facts.changeable(request)?;
    let mut after = current.clone();
    after.body = edit.body.clone().unwrap_or(after.body);
    after.author = edit.author.clone().unwrap_or(after.author);
    after.attributes = edit.attributes.clone().unwrap_or(after.attributes);
    if after == *current {
        return Ok(Plan::new((entry.clone(), revision.cloned()), Vec::new()));
    }
    let mut draft = Draft::after(cause, tail);
    draft.push(Event::MessageUpdated(EarlierMessage {
        sid,
        date_created: entry.at,
        message: after.clone(),
    }));
    let revision = next_revision(entry, revision, Some(after), cause);
    let writes = vec![
        Write::PutRevision {
            conversation: tail.conversation,
            revision: revision.clone(),
        },
        draft.finish(),
    ];
    Ok(Plan::new((entry.clone(), Some(revision)), writes))
}

/// Deletes the message for readers; its slot and its index stay.
pub fn delete(facts: &ChangeFacts<MessageFacts>, request: ChangeRequest) -> Decision<()> {
    plan_to_delete(facts, &request).into()
}

fn plan_to_delete(
    facts: &ChangeFacts<MessageFacts>,
    request: &ChangeRequest,
) -> Result<Plan<()>, Halt> {
    let (entry, revision, sid, current) = current(facts, request)?;
    let (tail, cause) = facts.changeable(request)?;
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
            revision: next_revision(entry, revision, None, cause),
        },
        Write::Blank {
            conversation,
            slot: entry.slot,
        },
        draft.finish(),
    ];
    Ok(Plan::new((), writes))
}

/// The entry, the revision, the SID and the current version of a message that readers can see.
fn current<'a>(
    facts: &'a ChangeFacts<MessageFacts>,
    request: &ChangeRequest,
) -> Result<(&'a Entry, Option<&'a Revision>, MessageSid, &'a Message), Halt> {
    facts.visible(request)?;
    let (entry, revision) = facts.own.as_ref().ok_or(Refusal::NotFound)?;
    let (sid, added) = entry.message().ok_or(Refusal::NotFound)?;
    let message = match revision {
        Some(revision) => revision.message.as_ref().ok_or(Refusal::NotFound)?,
        None => added,
    };
    Ok((entry, revision.as_ref(), sid, message))
}

fn next_revision(
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
