//! Add, update and remove a participant.

use routing::change::{self, NewParticipant, ParticipantEdit, Refusal};
use routing::{
    AccountSettings, Binding, Conflict, ConversationSid, Pair, Participant, ParticipantSid, Tail,
};
use store::Deadline;

use crate::App;
use crate::change::{Asked, Attempt, Attempts, ChangeError, present};

pub async fn add_participant(
    app: &App,
    conversation: ConversationSid,
    wish: NewParticipant,
    asked: Asked,
) -> Result<Participant, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (tail, account, sides) = tokio::join!(
            app.store.tail_get(conversation, asked.deadline),
            app.store.account_get(asked.deadline),
            sides(app, wish.pair.as_ref(), asked.deadline),
        );
        // What the conversation is comes first.
        let (tail, account) = (present(tail?)?, account?);
        sides?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        let plan = match change::add(
            wish.clone(),
            &tail,
            attempts.cause(account.in_force(tail.header.service)),
        ) {
            Ok(plan) => plan,
            Err(Refusal::PairHeldHere) => return Err(held_here(&tail, wish.pair.as_ref())),
            Err(refusal) => return Err(refusal.into()),
        };
        match attempts.commit(&plan.writes).await? {
            Attempt::Done => return Ok(plan.outcome),
            Attempt::Again(conflict) if conflict.identity_taken() => {
                return Err(ChangeError::IdentityTaken);
            }
            Attempt::Again(conflict) => give_way(&mut attempts, &conflict, &account).await?,
        }
    }
}

/// A pair that somebody else holds is not to be had, unless its holder is past its closing time.
async fn give_way(
    attempts: &mut Attempts<'_>,
    conflict: &Conflict,
    account: &AccountSettings,
) -> Result<(), ChangeError> {
    let Some((_, binding)) = conflict.binding() else {
        return Ok(());
    };
    let holder = attempts
        .app
        .store
        .tail_get(binding.conversation, attempts.asked.deadline)
        .await?;
    let expired = match &holder {
        Some(holder) => attempts.closed_expired(holder, account).await?,
        None => false,
    };
    if expired {
        Ok(())
    } else {
        Err(ChangeError::PairBound(binding))
    }
}

/// The proxy address is ours, and the address is not.
async fn sides(app: &App, pair: Option<&Pair>, deadline: Deadline) -> Result<(), ChangeError> {
    let Some(pair) = pair else {
        return Ok(());
    };
    let (proxy, address) = tokio::try_join!(
        app.store.owns(pair.proxy(), deadline),
        app.store.owns(pair.address(), deadline)
    )?;
    match (proxy, address) {
        (false, _) => Err(ChangeError::ProxyIsNotOurs),
        (true, true) => Err(ChangeError::AddressIsOurs),
        (true, false) => Ok(()),
    }
}

fn held_here(tail: &Tail, pair: Option<&Pair>) -> ChangeError {
    let participant = pair.and_then(|pair| tail.header.holds(pair));
    match participant {
        Some(participant) => ChangeError::PairBound(Binding {
            conversation: tail.conversation,
            participant,
            service: tail.header.service,
            since: tail.header.last_activity,
        }),
        None => Refusal::PairHeldHere.into(),
    }
}

pub async fn update_participant(
    app: &App,
    conversation: ConversationSid,
    sid: ParticipantSid,
    edit: ParticipantEdit,
    asked: Asked,
) -> Result<Participant, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (tail, account, participant) = read(app, conversation, sid, asked.deadline).await?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        let moved = edit
            .proxy
            .clone()
            .map(|proxy| change::moved(&participant, proxy))
            .transpose()?;
        if let Some(pair) = moved
            .as_ref()
            .filter(|pair| participant.pair.as_ref() != Some(pair))
            && !app.store.owns(pair.proxy(), asked.deadline).await?
        {
            return Err(ChangeError::ProxyIsNotOurs);
        }
        let cause = attempts.cause(account.in_force(tail.header.service));
        let plan = match change::update_participant(edit.clone(), &participant, &tail, cause) {
            Ok(plan) => plan,
            Err(Refusal::PairHeldHere) => return Err(held_here(&tail, moved.as_ref())),
            Err(refusal) => return Err(refusal.into()),
        };
        match attempts.commit(&plan.writes).await? {
            Attempt::Done => return Ok(plan.outcome),
            Attempt::Again(conflict) => give_way(&mut attempts, &conflict, &account).await?,
        }
    }
}

pub async fn remove_participant(
    app: &App,
    conversation: ConversationSid,
    sid: ParticipantSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (tail, account, participant) = read(app, conversation, sid, asked.deadline).await?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        let plan = change::remove(
            &participant,
            &tail,
            attempts.cause(account.in_force(tail.header.service)),
        )?;
        if let Attempt::Done = attempts.commit(&plan.writes).await? {
            return Ok(());
        }
    }
}

async fn read(
    app: &App,
    conversation: ConversationSid,
    sid: ParticipantSid,
    deadline: Deadline,
) -> Result<(Tail, AccountSettings, Participant), ChangeError> {
    let (tail, account, participant) = tokio::try_join!(
        app.store.tail_get(conversation, deadline),
        app.store.account_get(deadline),
        app.store.participant_get(conversation, sid, deadline),
    )?;
    Ok((
        present(tail)?,
        account,
        participant.ok_or(ChangeError::NotFound)?,
    ))
}
