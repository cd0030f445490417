//! Add, update and remove a participant.

use routing::change::participant::{self, AddFacts, NewParticipant, ParticipantEdit, UpdateFacts};
use routing::{Address, ChangeFacts, ConversationSid, Participant, ParticipantSid};
use store::StoreError;

use crate::App;
use crate::change::{Asked, ChangeError, make_change};

pub async fn add_participant(
    app: &App,
    conversation: ConversationSid,
    wish: NewParticipant,
    asked: Asked,
) -> Result<Participant, ChangeError> {
    let pair = wish.pair.as_ref();
    let gather = || async move {
        let (tail, settings, address_is_ours, proxy_is_ours) = tokio::try_join!(
            app.store.tail_get(conversation, asked.deadline),
            asked.settings(app),
            is_ours(app, pair.map(|pair| pair.address()), asked),
            is_ours(app, pair.map(|pair| pair.proxy()), asked),
        )?;
        let own = AddFacts {
            address_is_ours,
            proxy_is_ours,
        };
        Ok(ChangeFacts::new(settings, tail, own))
    };
    let added = make_change(app, asked, gather, |facts, request| {
        participant::add(&wish, facts, request)
    });
    added.await
}

pub async fn update_participant(
    app: &App,
    conversation: ConversationSid,
    sid: ParticipantSid,
    edit: ParticipantEdit,
    asked: Asked,
) -> Result<Participant, ChangeError> {
    let proxy = edit.proxy.as_ref();
    let gather = || async move {
        let (tail, settings, participant, proxy_is_ours) = tokio::try_join!(
            app.store.tail_get(conversation, asked.deadline),
            asked.settings(app),
            app.store.participant_get(conversation, sid, asked.deadline),
            is_ours(app, proxy, asked),
        )?;
        let own = UpdateFacts {
            participant,
            proxy_is_ours,
        };
        Ok(ChangeFacts::new(settings, tail, own))
    };
    let updated = make_change(app, asked, gather, |facts, request| {
        participant::update(&edit, facts, request)
    });
    updated.await
}

pub async fn remove_participant(
    app: &App,
    conversation: ConversationSid,
    sid: ParticipantSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let gather = || async move {
        let (tail, settings, participant) = tokio::try_join!(
            app.store.tail_get(conversation, asked.deadline),
            asked.settings(app),
            app.store.participant_get(conversation, sid, asked.deadline),
        )?;
        Ok(ChangeFacts::new(settings, tail, participant))
    };
    make_change(app, asked, gather, participant::remove).await
}

/// Whether we receive on the address. `false` for none.
async fn is_ours(app: &App, address: Option<&Address>, asked: Asked) -> Result<bool, StoreError> {
    match address {
        Some(address) => app.store.owns(address, asked.deadline).await,
        None => Ok(false),
    }
}
