//! Post, edit and delete a message.

use routing::change::message::{self, MessageEdit, MessageFacts, NewMessage};
use routing::{ChangeFacts, ConversationSid, MessageSid, Refusal};
use store::{MessageView, StoreError};

use crate::App;
use crate::change::{Asked, ChangeError, make_change};

/// The author of a message for which the request names none; never a participant.
pub const SYSTEM: &str = "system";

pub async fn post_message(
    app: &App,
    conversation: ConversationSid,
    wish: NewMessage,
    asked: Asked,
) -> Result<MessageView, ChangeError> {
    let author = wish.author.as_str();
    let gather = || async move {
        let (tail, settings) = tokio::try_join!(
            app.store.tail_get(conversation, asked.deadline),
            asked.settings(app),
        )?;
        // After the tail: a change that removes the participant after this read takes a slot, and the commit fails.
        let participant = match author {
            SYSTEM => None,
            author => {
                let found = app.store.identity_get(conversation, author, asked.deadline);
                found.await?
            }
        };
        Ok(ChangeFacts::new(settings, tail, participant))
    };
    let posted = make_change(app, asked, gather, |facts, request| {
        message::post(&wish, facts, request)
    });
    let posted = posted.await?;
    Ok(MessageView {
        conversation,
        sid: posted.sid,
        message: posted.message,
        date_created: posted.at,
        date_updated: posted.at,
    })
}

pub async fn edit_message(
    app: &App,
    conversation: ConversationSid,
    sid: MessageSid,
    edit: MessageEdit,
    asked: Asked,
) -> Result<MessageView, ChangeError> {
    let gather = || gather(app, conversation, sid, asked);
    let edited = make_change(app, asked, gather, |facts, request| {
        message::edit(&edit, facts, request)
    });
    let (entry, revision) = edited.await?;
    let view = MessageView::of(&entry, revision.as_ref());
    Ok(view.ok_or(Refusal::NotFound)?)
}

pub async fn delete_message(
    app: &App,
    conversation: ConversationSid,
    sid: MessageSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let gather = || gather(app, conversation, sid, asked);
    make_change(app, asked, gather, message::delete).await
}

async fn gather(
    app: &App,
    conversation: ConversationSid,
    sid: MessageSid,
    asked: Asked,
) -> Result<ChangeFacts<MessageFacts>, StoreError> {
    let (tail, settings, found) = tokio::try_join!(
        app.store.tail_get(conversation, asked.deadline),
        asked.settings(app),
        app.store.message_get(conversation, sid, asked.deadline),
    )?;
    Ok(ChangeFacts::new(settings, tail, found))
}
