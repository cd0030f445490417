//! Create, change and delete a messaging service; put senders into its pool and take them out.
//!
//! A service is there while its record is. The items of its pool are not required for that: those of a service that is
//! gone count as none, so deleting a service frees all its numbers at once.

use futures_util::future::join_all;
use routing::{
    AlphaSender, AlphaSenderSid, MessagingService, MessagingServiceSid, NumberSettings, NumberSid,
    PoolNumber, Refusal,
};
use store::{Deadline, PageRequest, RecordError, StoreError};

use crate::change::ChangeError;
use crate::replace_settings::{ATTEMPTS_MAX, made, must_repeat, remove, replace};
use crate::{App, ErrorChain};

pub async fn create_messaging_service(
    app: &App,
    friendly_name: String,
    edit: impl Fn(MessagingService) -> MessagingService,
    deadline: Deadline,
) -> Result<MessagingService, ChangeError> {
    let sid = app.messaging_service_sid();
    let service = edit(MessagingService::new(sid, friendly_name, app.clock.now()));
    match app.store.messaging_service_put(&service, deadline).await {
        Ok(()) => Ok(service),
        // No other request knows the SID: an earlier attempt of this one has made the service.
        Err(RecordError::Changed { .. }) => Ok(service),
        Err(RecordError::Store(error)) => Err(error.into()),
    }
}

/// Changes the service; in force when this returns.
pub async fn update_messaging_service(
    app: &App,
    sid: MessagingServiceSid,
    edit: impl Fn(MessagingService) -> MessagingService,
    deadline: Deadline,
) -> Result<MessagingService, ChangeError> {
    let changes = |before: &MessagingService| edit(before.clone()) != *before;
    replace_service(app, sid, changes, &edit, deadline).await
}

/// The account's first service. Writes it if no request has written it yet, so that it has a date and stands in the list.
pub async fn write_default_messaging_service(
    app: &App,
    deadline: Deadline,
) -> Result<MessagingService, ChangeError> {
    let sid = MessagingServiceSid::DEFAULT;
    replace_service(
        app,
        sid,
        |before| before.version == 0,
        |same| same,
        deadline,
    )
    .await
}

/// Deletes the service and its pool. Its numbers are free when this returns.
pub async fn delete_messaging_service(
    app: &App,
    sid: MessagingServiceSid,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    remove(
        || async move { app.store.messaging_service_get(sid, deadline).await },
        |_| true,
        |service| async move { app.store.messaging_service_delete(&service, deadline).await },
        deadline,
    )
    .await?;
    // Not required for correctness: what is left of the pool counts as none.
    if let Err(error) = empty_pool(app, sid, deadline).await {
        let error = ErrorChain(&error);
        tracing::warn!(service_sid = %sid, %error, "the pool of service {sid} keeps some items");
    }
    Ok(())
}

/// Puts a number of ours into the service's pool, at once. `false`: it was there already.
///
/// # Errors
/// [`Refusal::PoolTaken`] if the number is in the pool of another service, which is there.
pub async fn add_pool_number(
    app: &App,
    service: MessagingServiceSid,
    number: NumberSid,
    deadline: Deadline,
) -> Result<(PoolNumber, bool), ChangeError> {
    let address = number.address().ok_or(Refusal::NumberUnknown)?;
    for attempt in 1..=ATTEMPTS_MAX {
        let (found, receiver) = tokio::try_join!(
            app.store.messaging_service_get(service, deadline),
            app.store.receiver_get(&address, deadline),
        )?;
        found.ok_or(Refusal::NotFound)?;
        let is_number = |found: &NumberSettings| found.sid == number;
        receiver
            .number
            .filter(is_number)
            .ok_or(Refusal::NumberUnknown)?;
        let version = match receiver.pool {
            None => 1,
            Some(place) if place.service == service => return Ok((place, false)),
            Some(place) => match app
                .store
                .messaging_service_get(place.service, deadline)
                .await?
            {
                Some(_) => return Err(Refusal::PoolTaken.into()),
                None => place.version + 1,
            },
        };
        let now = app.clock.now();
        let place = PoolNumber {
            service,
            number,
            version,
            address: address.clone(),
            date_created: now,
            date_updated: now,
        };
        let put = app.store.pool_number_put(&place, deadline).await;
        if !must_repeat(put, attempt, deadline).await? {
            return Ok((place, true));
        }
    }
    Err(ChangeError::Contended)
}

/// Takes a number out of the service's pool.
pub async fn remove_pool_number(
    app: &App,
    service: MessagingServiceSid,
    number: NumberSid,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    let address = &number.address().ok_or(Refusal::NotFound)?;
    remove(
        || async move { Ok(app.store.receiver_get(address, deadline).await?.pool) },
        |place| place.service == service && place.number == number,
        |place| async move { app.store.pool_number_delete(&place, deadline).await },
        deadline,
    )
    .await
}

/// Adds a name that the service may send as.
///
/// # Errors
/// [`Refusal::AddressTaken`] if the pool has the name already.
pub async fn add_alpha_sender(
    app: &App,
    service: MessagingServiceSid,
    name: String,
    deadline: Deadline,
) -> Result<AlphaSender, ChangeError> {
    let sender = AlphaSender {
        service,
        sid: store::alpha_sender_sid(service, &name),
        name,
        date_created: app.clock.now(),
    };
    made(app.store.alpha_sender_put(&sender, deadline).await)?;
    Ok(sender)
}

pub async fn remove_alpha_sender(
    app: &App,
    service: MessagingServiceSid,
    sid: AlphaSenderSid,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    remove(
        || async move { app.store.alpha_sender_get(service, sid, deadline).await },
        |_| true,
        |sender| async move { app.store.alpha_sender_delete(&sender, deadline).await },
        deadline,
    )
    .await
}

async fn replace_service(
    app: &App,
    sid: MessagingServiceSid,
    changes: impl Fn(&MessagingService) -> bool,
    edit: impl Fn(MessagingService) -> MessagingService,
    deadline: Deadline,
) -> Result<MessagingService, ChangeError> {
    replace(
        || async move { app.store.messaging_service_get(sid, deadline).await },
        |before: MessagingService| {
            if !changes(&before) {
                return Ok(Err(before));
            }
            let (version, now) = (before.version + 1, app.clock.now());
            // The account's first service counts from the first request that writes it.
            let date_created = match before.version {
                0 => now,
                _ => before.date_created,
            };
            Ok(Ok(MessagingService {
                version,
                date_created,
                date_updated: now,
                ..edit(before)
            }))
        },
        |after| async move { app.store.messaging_service_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// The items that one step deletes, side by side.
const STEP_ITEMS_MAX: usize = 25;
/// The steps of one request in each list of the pool: 1,000 items.
const STEPS_MAX: usize = 40;

/// Deletes the items of the pool of a service that is gone, in steps.
async fn empty_pool(
    app: &App,
    service: MessagingServiceSid,
    deadline: Deadline,
) -> Result<(), StoreError> {
    for short_codes in [false, true] {
        let mut page = first_page();
        for _ in 0..STEPS_MAX {
            let list = app
                .store
                .pool_number_list(service, short_codes, &page, deadline);
            let numbers = list.await?;
            // A number that has gone to another pool since is none of this service's.
            let left = numbers.rows.iter().filter(|place| place.service == service);
            let deleted = left.map(|place| app.store.pool_number_delete(place, deadline));
            all_gone(join_all(deleted).await)?;
            page.token = numbers.next_after(numbers.rows.len()).map(str::to_owned);
            if page.token.is_none() {
                break;
            }
        }
    }
    let mut page = first_page();
    for _ in 0..STEPS_MAX {
        let senders = app
            .store
            .alpha_sender_list(service, &page, deadline)
            .await?;
        let deleted = senders.rows.iter();
        let deleted = deleted.map(|sender| app.store.alpha_sender_delete(sender, deadline));
        all_gone(join_all(deleted).await)?;
        page.token = senders.next_after(senders.rows.len()).map(str::to_owned);
        if page.token.is_none() {
            break;
        }
    }
    Ok(())
}

fn first_page() -> PageRequest {
    PageRequest {
        size: STEP_ITEMS_MAX,
        token: None,
    }
}

/// An item that another request has changed or deleted is gone, too.
fn all_gone(deleted: Vec<Result<(), RecordError>>) -> Result<(), StoreError> {
    for each in deleted {
        match each {
            Ok(()) | Err(RecordError::Changed { .. }) => {}
            Err(RecordError::Store(error)) => return Err(error),
        }
    }
    Ok(())
}
