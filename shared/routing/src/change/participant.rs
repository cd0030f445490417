//! Add, update and remove a participant.

use jiff::Timestamp;

use crate::address::Address;
use crate::binding::Binding;
use crate::cause::Cause;
use crate::change::{Refusal, open};
use crate::draft::Draft;
use crate::entry::Event;
use crate::header::HeldPair;
use crate::pair::{Pair, PairError};
use crate::participant::Participant;
use crate::plan::{Plan, Write};
use crate::state::{Reason, State};
use crate::tail::Tail;

/// A participant to be added: with an identity or with a pair, which the edge has made sure of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParticipant {
    pub identity: Option<String>,
    pub pair: Option<Pair>,
    pub attributes: String,
}

/// What is to change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantEdit {
    /// Moves the participant to another proxy address of ours.
    pub proxy: Option<Address>,
    pub attributes: Option<String>,
    pub last_read_index: Option<u64>,
    pub last_read_at: Option<Timestamp>,
}

/// Claims the pair or the identity. An inactive conversation becomes active.
pub fn add(wish: NewParticipant, tail: &Tail, cause: Cause) -> Result<Plan<Participant>, Refusal> {
    let header = open(tail)?;
    if header.participants >= Participant::COUNT_MAX {
        return Err(Refusal::ParticipantsMax);
    }
    if let Some(pair) = &wish.pair {
        if header.holds(pair).is_some() {
            return Err(Refusal::PairHeldHere);
        }
        if header.pairs.len() >= Participant::PAIRS_MAX {
            return Err(Refusal::PairsMax);
        }
    }
    let (fresh, conversation, sid) = (cause.fresh, tail.conversation, cause.fresh.participant);
    let participant = Participant {
        conversation,
        service: header.service,
        sid,
        version: 1,
        identity: wish.identity,
        pair: wish.pair,
        attributes: wish.attributes,
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
            pair: pair.clone(),
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
    Ok(Plan {
        outcome: participant,
        writes,
    })
}

/// The pair that a participant has behind another proxy address.
pub fn moved(participant: &Participant, proxy: Address) -> Result<Pair, Refusal> {
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

/// The outcome is the participant afterwards; without writes where nothing changes.
pub fn update(
    edit: ParticipantEdit,
    participant: &Participant,
    tail: &Tail,
    cause: Cause,
) -> Result<Plan<Participant>, Refusal> {
    let header = open(tail)?;
    let mut after = participant.clone();
    if let Some(proxy) = edit.proxy {
        after.pair = Some(moved(participant, proxy)?);
    }
    after.attributes = edit.attributes.unwrap_or(after.attributes);
    after.last_read_index = edit.last_read_index.or(after.last_read_index);
    after.last_read_at = edit.last_read_at.or(after.last_read_at);
    if after == *participant {
        return Ok(Plan {
            outcome: after,
            writes: Vec::new(),
        });
    }
    after.version += 1;
    after.date_updated = cause.fresh.now;
    let mut draft = Draft::after(cause, tail);
    let mut writes = Vec::new();
    if let (Some(old), Some(new)) = (&participant.pair, &after.pair)
        && old != new
    {
        if header.holds(new).is_some() {
            return Err(Refusal::PairHeldHere);
        }
        let (conversation, sid) = (tail.conversation, participant.sid);
        let binding = Binding {
            conversation,
            participant: sid,
            service: header.service,
            since: cause.fresh.now,
        };
        writes.push(Write::Claim {
            pair: new.clone(),
            binding,
            from: None,
        });
        writes.push(Write::Release {
            pair: old.clone(),
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
    Ok(Plan {
        outcome: after,
        writes,
    })
}

/// Frees the pair or the identity.
pub fn remove(participant: &Participant, tail: &Tail, cause: Cause) -> Result<Plan<()>, Refusal> {
    open(tail)?;
    let (conversation, sid) = (tail.conversation, participant.sid);
    let mut draft = Draft::after(cause, tail);
    let mut writes = Vec::new();
    draft.header.pairs.retain(|held| held.participant != sid);
    writes.extend(participant.pair.clone().map(|pair| Write::Release {
        pair,
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
    Ok(Plan {
        outcome: (),
        writes,
    })
}
