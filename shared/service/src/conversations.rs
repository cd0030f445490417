//! Create, update, close and delete a conversation.

use routing::change::conversation::{self, ConversationEdit, NewConversation};
use routing::{ChangeFacts, ConversationSid, Metadata};
use store::{StoreError, View};

use crate::App;
use crate::change::{Asked, ChangeError, make_change};

pub async fn create_conversation(
    app: &App,
    wish: NewConversation,
    asked: Asked,
) -> Result<View, ChangeError> {
    let gather = || async {
        let settings = asked.settings(app).await?;
        Ok(ChangeFacts::new(settings, None, ()))
    };
    let created = make_change(app, asked, gather, |facts, request| {
        conversation::create(&wish, facts, request)
    });
    let (metadata, tail) = created.await?;
    Ok(View { metadata, tail })
}

pub async fn update_conversation(
    app: &App,
    sid: ConversationSid,
    edit: ConversationEdit,
    asked: Asked,
) -> Result<View, ChangeError> {
    let gather = || gather(app, sid, asked);
    let updated = make_change(app, asked, gather, |facts, request| {
        conversation::update(&edit, facts, request)
    });
    let (metadata, tail) = updated.await?;
    Ok(View { metadata, tail })
}

pub async fn delete_conversation(
    app: &App,
    sid: ConversationSid,
    asked: Asked,
) -> Result<(), ChangeError> {
    let gather = || gather(app, sid, asked);
    make_change(app, asked, gather, conversation::delete).await
}

async fn gather(
    app: &App,
    sid: ConversationSid,
    asked: Asked,
) -> Result<ChangeFacts<Option<Metadata>>, StoreError> {
    let (view, settings) = tokio::try_join!(
        app.store.conversation_get(sid, asked.deadline),
        asked.settings(app),
    )?;
    let (metadata, tail) = view.map(|view| (view.metadata, view.tail)).unzip();
    Ok(ChangeFacts::new(settings, tail, metadata))
}
