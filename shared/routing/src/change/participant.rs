//! Add, update and remove a participant.

use jiff::Timestamp;

use crate::address::Address;
use crate::binding::Binding;
use crate::change::facts::{ChangeFacts, ChangeRequest};
use crate::decision::{Decision, Halt};
use crate::draft::Draft;
use crate::entry::Event;
use crate::header::HeldPair;
use crate::key::Key;
use crate::pair::{Pair, PairError};
use crate::participant::Participant;
use crate::plan::{Plan, Write};
use crate::refusal::Refusal;
use crate::state::{Reason, State};
use crate::tail::Tail;

/// A new participant. The edge has checked that it has an identity or a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParticipant {
    pub identity: Option<String>,
    pub pair: Option<Pair>,
    pub attributes: String,
}

/// The changes; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantEdit {
    /// Moves the participant to another proxy address of ours.
    pub proxy: Option<Address>,
    pub attributes: Option<String>,
    pub last_read_index: Option<u64>,
    pub last_read_at: Option<Timestamp>,
}

/// The addresses of a new participant.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddFacts {
    /// Whether we receive on the participant's address. `false` for a participant without one.
    pub address_is_ours: bool,
    /// Whether we receive on its proxy address. `false` for a participant without one.
    pub proxy_is_ours: bool,
}

/// Adds a participant, and claims its pair or its identity. An inactive conversation becomes active.
pub fn add(
    wish: &NewParticipant,
    facts: &ChangeFacts<AddFacts>,
    request: ChangeRequest,
) -> Decision<Participant> {
    plan_to_add(wish, facts, &request).into()
}

fn plan_to_add(
    wish: &NewParticipant,
    facts: &ChangeFacts<AddFacts>,
    request: &ChangeRequest,
) -> Result<Plan<Participant>, Halt> {
    facts.visible(request)?;
    if wish.pair.is_some() {
        if !facts.own.proxy_is_ours {
            return Err(Refusal::ProxyIsNotOurs.into());
        }
        if facts.own.address_is_ours {
            return Err(Refusal::AddressIsOurs.into());
        }
    }
    let (tail, cause) = facts.changeable(request)?;
    let header = &tail.header;
    if header.participants >= Participant::COUNT_MAX {
        return Err(Refusal::ParticipantsMax.into());
    }
    if let Some(pair) = &wish.pair {
        not_held(tail, pair)?;
        if header.pairs.len() >= Participant::PAIRS_MAX {
            return Err(Refusal::PairsMax.into());
        }
    }
    let (fresh, conversation, sid) = (cause.fresh, tail.conversation, cause.fresh.participant);
    let participant = Participant {
        conversation,
        service: header.service,
        sid,
        version: 1,
        identity: wish.identity.clone(),
        pair: wish.pair.clone(),
        attributes: wish.attributes.clone(),
        last_read_index: None,
        last_read_at: None,
        date_created: fresh.now,
        date_updated: fresh.now,
    };
    let mut writes = Vec::new();
    let mut draft = Draft::after(cause, tail);
    if let Some(pair) = participant.pair.clone() {
        let binding = Binding {
            conversation,
            participant: sid,
            service: header.service,
            since: fresh.now,
        };
        writes.push(Write::Claim {
            key: Key::Pair(pair.clone()),
            binding,
            from: None,
        });
        draft.header.pairs.push(HeldPair {
            participant: sid,
            pair,
        });
    }
    if let Some(identity) = participant.identity.clone() {
        writes.push(Write::ClaimIdentity {
            conversation,
            identity,
            participant: sid,
        });
    }
    draft.header.participants += 1;
    draft.push(Event::ParticipantAdded(participant.clone()));
    if header.state == State::Inactive {
        writes.extend(draft.set_state(State::Active, Reason::Event));
        writes.extend(draft.state_copy());
        writes.extend(draft.timer());
    }
    writes.push(Write::PutParticipant(participant.clone()));
    writes.push(draft.finish());
    Ok(Plan::new(participant, writes))
}

/// Passes if the conversation does not hold the pair.
fn not_held(tail: &Tail, pair: &Pair) -> Result<(), Refusal> {
    match tail.header.holds(&Key::Pair(pair.clone())) {
        None => Ok(()),
        Some(participant) => Err(Refusal::KeyBound {
            conversation: tail.conversation,
            participant,
            service: tail.header.service,
        }),
    }
}

/// The pair of the participant with another proxy address.
fn pair_with(participant: &Participant, proxy: Address) -> Result<Pair, Refusal> {
    let address = participant
        .pair
        .as_ref()
        .ok_or(Refusal::NoAddress)?
        .address()
        .clone();
    Pair::new(address, proxy).map_err(|error| match error {
        PairError::Same => Refusal::SameAddresses,
        PairError::Channels => Refusal::ChannelsDiffer,
    })
}

/// The participant, and the address that it is moved to.
#[derive(Clone, Debug)]
pub struct UpdateFacts {
    /// `None`: there is no such participant.
    pub participant: Option<Participant>,
    /// Whether we receive on the new proxy address. `false` where the update gives none.
    pub proxy_is_ours: bool,
}

/// The outcome is the participant afterwards; without writes where nothing changes.
pub fn update(
    edit: &ParticipantEdit,
    facts: &ChangeFacts<UpdateFacts>,
    request: ChangeRequest,
) -> Decision<Participant> {
    plan_to_update(edit, facts, &request).into()
}

fn plan_to_update(
    edit: &ParticipantEdit,
    facts: &ChangeFacts<UpdateFacts>,
    request: &ChangeRequest,
) -> Result<Plan<Participant>, Halt> {
    facts.visible(request)?;
    let participant = facts.own.participant.as_ref().ok_or(Refusal::NotFound)?;
    let (tail, cause) = facts.changeable(request)?;
    let header = &tail.header;
    let mut after = participant.clone();
    if let Some(proxy) = edit.proxy.clone() {
        after.pair = Some(pair_with(participant, proxy)?);
    }
    if after.pair != participant.pair && !facts.own.proxy_is_ours {
        return Err(Refusal::ProxyIsNotOurs.into());
    }
    after.attributes = edit.attributes.clone().unwrap_or(after.attributes);
    after.last_read_index = edit.last_read_index.or(after.last_read_index);
    after.last_read_at = edit.last_read_at.or(after.last_read_at);
    if after == *participant {
        return Ok(Plan::new(after, Vec::new()));
    }
    after.version += 1;
    after.date_updated = cause.fresh.now;
    let mut draft = Draft::after(cause, tail);
    let mut writes = Vec::new();
    if let (Some(old), Some(new)) = (&participant.pair, &after.pair)
        && old != new
    {
        not_held(tail, new)?;
        let (conversation, sid) = (tail.conversation, participant.sid);
        let binding = Binding {
            conversation,
            participant: sid,
            service: header.service,
            since: cause.fresh.now,
        };
        writes.push(Write::Claim {
            key: Key::Pair(new.clone()),
            binding,
            from: None,
        });
        writes.push(Write::Release {
            key: Key::Pair(old.clone()),
            holder: conversation,
        });
        for held in draft
            .header
            .pairs
            .iter_mut()
            .filter(|held| held.participant == sid)
        {
            held.pair = new.clone();
        }
    }
    draft.push(Event::ParticipantUpdated(after.clone()));
    writes.push(Write::PutParticipant(after.clone()));
    writes.push(draft.finish());
    Ok(Plan::new(after, writes))
}

/// Removes the participant, and releases its pair or its identity. Facts: `None` is no such participant.
pub fn remove(facts: &ChangeFacts<Option<Participant>>, request: ChangeRequest) -> Decision<()> {
    plan_to_remove(facts, &request).into()
}

fn plan_to_remove(
    facts: &ChangeFacts<Option<Participant>>,
    request: &ChangeRequest,
) -> Result<Plan<()>, Halt> {
    facts.visible(request)?;
    let participant = facts.own.as_ref().ok_or(Refusal::NotFound)?;
    let (tail, cause) = facts.changeable(request)?;
    let (conversation, sid) = (tail.conversation, participant.sid);
    let mut draft = Draft::after(cause, tail);
    let mut writes = Vec::new();
    draft.header.pairs.retain(|held| held.participant != sid);
    writes.extend(participant.pair.clone().map(|pair| Write::Release {
        key: Key::Pair(pair),
        holder: conversation,
    }));
    writes.extend(
        participant
            .identity
            .clone()
            .map(|identity| Write::ReleaseIdentity {
                conversation,
                identity,
            }),
    );
    draft.header.participants = draft.header.participants.saturating_sub(1);
    draft.push(Event::ParticipantRemoved(participant.clone()));
    writes.push(Write::DeleteParticipant {
        conversation,
        participant: sid,
        version: participant.version,
    });
    writes.push(draft.finish());
    Ok(Plan::new((), writes))
}
