//! Create and change a conversation service.

use routing::{ConversationService, ConversationServiceSid};
use store::{Deadline, RecordError};

use crate::App;
use crate::change::ChangeError;
use crate::replace_settings::replace;

pub async fn create_conversation_service(
    app: &App,
    friendly_name: String,
    deadline: Deadline,
) -> Result<ConversationService, ChangeError> {
    let sid = app.conversation_service_sid();
    let service = ConversationService::new(sid, friendly_name, app.clock.now());
    match app.store.conversation_service_put(&service, deadline).await {
        Ok(()) => Ok(service),
        // No other request knows the SID: an earlier attempt of this one has made the service.
        Err(RecordError::Changed { .. }) => Ok(service),
        Err(RecordError::Store(error)) => Err(error.into()),
    }
}

/// Changes the service; in force when this returns.
pub async fn update_conversation_service(
    app: &App,
    sid: ConversationServiceSid,
    edit: impl Fn(ConversationService) -> ConversationService,
    deadline: Deadline,
) -> Result<ConversationService, ChangeError> {
    let changes = |before: &ConversationService| edit(before.clone()) != *before;
    replace_service(app, sid, changes, &edit, deadline).await
}

/// The account's first service. Writes it if no request has written it yet, so that it has a date and stands in the list.
pub async fn write_default_service(
    app: &App,
    deadline: Deadline,
) -> Result<ConversationService, ChangeError> {
    let sid = ConversationServiceSid::DEFAULT;
    let unwritten = |before: &ConversationService| before.version == 0;
    replace_service(app, sid, unwritten, |same| same, deadline).await
}

async fn replace_service(
    app: &App,
    sid: ConversationServiceSid,
    changes: impl Fn(&ConversationService) -> bool,
    edit: impl Fn(ConversationService) -> ConversationService,
    deadline: Deadline,
) -> Result<ConversationService, ChangeError> {
    replace(
        || async move { app.store.conversation_service_get(sid, deadline).await },
        |before: ConversationService| {
            if !changes(&before) {
                return Ok(Err(before));
            }
            let (version, now) = (before.version + 1, app.clock.now());
            // The account's first service counts from the first request that writes it.
            let date_created = match before.version {
                0 => now,
                _ => before.date_created,
            };
            Ok(Ok(ConversationService {
                version,
                date_created,
                date_updated: now,
                ..edit(before)
            }))
        },
        |after| async move { app.store.conversation_service_put(&after, deadline).await },
        deadline,
    )
    .await
}
