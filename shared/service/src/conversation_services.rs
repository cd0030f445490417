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
    replace(
        || async move { app.store.conversation_service_get(sid, deadline).await },
        |before: ConversationService| {
            let edited = edit(before.clone());
            let now = app.clock.now();
            Ok((edited != before)
                .then_some(ConversationService {
                    version: before.version + 1,
                    date_created: created(&before, now),
                    date_updated: now,
                    ..edited
                })
                .ok_or(before))
        },
        |after| async move { app.store.conversation_service_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// The account's first service. Writes it if no request has written it yet, so that it has a date and stands in the list.
pub async fn write_default_service(
    app: &App,
    deadline: Deadline,
) -> Result<ConversationService, ChangeError> {
    replace(
        || async move {
            let sid = ConversationServiceSid::DEFAULT;
            app.store.conversation_service_get(sid, deadline).await
        },
        |service: ConversationService| {
            let now = app.clock.now();
            Ok(match service.version {
                0 => Ok(ConversationService {
                    version: 1,
                    date_created: now,
                    date_updated: now,
                    ..service
                }),
                _ => Err(service),
            })
        },
        |after| async move { app.store.conversation_service_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// When the service was made. The account's first service counts from the first request that writes it.
fn created(service: &ConversationService, now: jiff::Timestamp) -> jiff::Timestamp {
    match service.version {
        0 => now,
        _ => service.date_created,
    }
}
