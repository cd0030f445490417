//! Post, edit and delete a message.

use routing::change::{self, MessageEdit, NewMessage, PostDecision};
use routing::{
    AccountSettings, ConversationSid, Entry, Message, MessageSid, PreActionReply, Revision, Source,
    Tail,
};
use store::{Deadline, MessageView};

use crate::App;
use crate::change::{Asked, Attempt, Attempts, ChangeError, present};
use crate::pre_action::call_pre_action_webhook;

/// The author of a message that nobody else is named for; never a participant.
pub const SYSTEM: &str = "system";

/// A message to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPost {
    /// An identity, an address, or any other name.
    pub author: String,
    pub body: String,
    pub attributes: String,
}

pub async fn post_message(
    app: &App,
    conversation: ConversationSid,
    post: NewPost,
    asked: Asked,
) -> Result<MessageView, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    let mut reply: Option<PreActionReply> = None;
    loop {
        let (tail, account) = tokio::try_join!(
            app.store.tail_get(conversation, asked.deadline),
            app.store.account_get(asked.deadline),
        )?;
        let tail = present(tail)?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        // After the tail: whoever is removed after this read takes a slot, and this message's commit fails.
        let participant = match post.author.as_str() {
            SYSTEM => None,
            author => {
                app.store
                    .identity_get(conversation, author, asked.deadline)
                    .await?
            }
        };
        let NewPost {
            author,
            body,
            attributes,
        } = post.clone();
        let wish = NewMessage {
            author,
            participant,
            body,
            attributes,
        };
        let plan = match change::post(
            wish,
            &tail,
            reply.as_ref(),
            attempts.cause(account.in_force(tail.header.service)),
        )? {
            PostDecision::Do(plan) => plan,
            PostDecision::Rejected => return Err(ChangeError::Rejected),
            PostDecision::Ask(call) => {
                let change = attempts.fresh.change;
                let limit = Message::BODY_REST_CHARACTERS_MAX;
                reply = Some(
                    call_pre_action_webhook(app, &call, Source::Api, change, limit, asked.deadline)
                        .await?,
                );
                continue;
            }
        };
        if let Attempt::Done = attempts.commit(&plan.writes).await? {
            let ((sid, message), now) = (plan.outcome, attempts.fresh.now);
            return Ok(MessageView {
                conversation,
                sid,
                message,
                date_created: now,
                date_updated: now,
            });
        }
    }
}

pub async fn edit_message(
    app: &App,
    conversation: ConversationSid,
    sid: MessageSid,
    edit: MessageEdit,
    asked: Asked,
) -> Result<MessageView, ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (tail, account, (entry, revision)) =
            read(app, conversation, sid, asked.deadline).await?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        let cause = attempts.cause(account.in_force(tail.header.service));
        let plan = change::edit_message(edit.clone(), &entry, revision.as_ref(), &tail, cause)?;
        if let Attempt::Done = attempts.commit(&plan.writes).await? {
            let revision = plan.outcome.or(revision);
            return MessageView::of(&entry, revision.as_ref()).ok_or(ChangeError::NotFound);
        }
    }
}

pub async fn delete_message(
    app: &App,
    conversation: ConversationSid,
    sid: MessageSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let mut attempts = Attempts::new(app, asked);
    loop {
        let (tail, account, (entry, revision)) =
            read(app, conversation, sid, asked.deadline).await?;
        if attempts.closed_expired(&tail, &account).await? {
            continue;
        }
        let plan = change::delete_message(
            &entry,
            revision.as_ref(),
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
    sid: MessageSid,
    deadline: Deadline,
) -> Result<(Tail, AccountSettings, (Entry, Option<Revision>)), ChangeError> {
    let (tail, account, found) = tokio::try_join!(
        app.store.tail_get(conversation, deadline),
        app.store.account_get(deadline),
        app.store.message_get(conversation, sid, deadline),
    )?;
    let (entry, revision) = found.ok_or(ChangeError::NotFound)?;
    if MessageView::of(&entry, revision.as_ref()).is_none() {
        return Err(ChangeError::NotFound);
    }
    Ok((present(tail)?, account, (entry, revision)))
}
