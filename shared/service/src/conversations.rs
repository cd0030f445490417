//! Create, update, close and delete a conversation.

use routing::change::{self, ConversationEdit, NewConversation};
use routing::{AccountSettings, ConversationSid, Message, PreActionReply, Source};
use store::View;

use crate::App;
use crate::change::{Asked, Attempt, Attempts, ChangeError, present};
use crate::pre_action::call_pre_action_webhook;

pub async fn create_conversation(
    app: &App,
    wish: NewConversation,
    asked: Asked,
) -> Result<View, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    let mut reply: Option<PreActionReply> = None;
    loop {
        let account = app.store.account_get(asked.deadline).await?;
        let plan = match change::create(
            wish.clone(),
            reply.as_ref(),
            attempts.cause(account.in_force(wish.service)),
        )? {
            Ok(plan) => plan,
            Err(call) => {
                let change = attempts.fresh.change;
                let limit = Message::BODY_REST_CHARACTERS_MAX;
                reply = Some(
                    call_pre_action_webhook(app, &call, Source::Api, change, limit, asked.deadline)
                        .await?,
                );
                continue;
            }
        };
        let (metadata, tail) = plan.outcome.ok_or(ChangeError::Rejected)?;
        match attempts.commit(&plan.writes).await? {
            Attempt::Done => return Ok(View { metadata, tail }),
            Attempt::Again(conflict) => match conflict.name_taken() {
                Some(holder) => return Err(ChangeError::NameTaken(holder)),
                None => continue,
            },
        }
    }
}

pub async fn update_conversation(
    app: &App,
    sid: ConversationSid,
    edit: ConversationEdit,
    asked: Asked,
) -> Result<View, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (view, account) = read(app, sid, asked).await?;
        if attempts.closed_expired(&view.tail, &account).await? {
            continue;
        }
        let plan = change::update(
            edit.clone(),
            &view.metadata,
            &view.tail,
            attempts.cause(account.in_force(view.tail.header.service)),
        )?;
        let (metadata, tail) = plan.outcome;
        match attempts.commit(&plan.writes).await? {
            Attempt::Done => return Ok(View { metadata, tail }),
            Attempt::Again(conflict) => match conflict.name_taken().filter(|holder| *holder != sid)
            {
                Some(holder) => return Err(ChangeError::NameTaken(holder)),
                None => continue,
            },
        }
    }
}

pub async fn delete_conversation(
    app: &App,
    sid: ConversationSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (view, account) = read(app, sid, asked).await?;
        let plan = change::delete(
            &view.metadata,
            &view.tail,
            attempts.cause(account.in_force(view.tail.header.service)),
        )?;
        if let Attempt::Done = attempts.commit(&plan.writes).await? {
            return Ok(());
        }
    }
}

async fn read(
    app: &App,
    sid: ConversationSid,
    asked: Asked,
) -> Result<(View, AccountSettings), ChangeError> {
    let view = app.store.conversation_get(sid, asked.deadline);
    let (view, account) = tokio::try_join!(view, app.store.account_get(asked.deadline))?;
    let view = view.ok_or(ChangeError::NotFound)?;
    present(Some(view.tail.clone()))?;
    Ok((view, account))
}
