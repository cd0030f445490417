//! Changes of settings: read a record, edit it, and replace it if no other request has changed it since.

use routing::{
    AccountSettings, Address, AddressConfiguration, AutoCreation, CarrierName, InboundWebhook,
    NumberSettings, Refusal,
};
use store::{Deadline, RecordError, StoreError};

use crate::App;
use crate::change::ChangeError;

/// How often one request tries to change a record while other requests change it too.
pub(crate) const ATTEMPTS_MAX: u32 = 20;

/// Changes the account's settings; in force when this returns.
pub async fn update_account(
    app: &App,
    edit: impl Fn(AccountSettings) -> AccountSettings,
    deadline: Deadline,
) -> Result<AccountSettings, ChangeError> {
    replace(
        || async move { Ok(Some(app.store.account_get(deadline).await?)) },
        |before: AccountSettings| {
            let version = before.version + 1;
            let after = edit(before.clone());
            Ok((after != before)
                .then_some(AccountSettings { version, ..after })
                .ok_or(before))
        },
        |after| async move { app.store.account_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// Makes a number that we receive on. `make` fills in what does not follow from the address.
pub async fn create_number(
    app: &App,
    address: Address,
    carrier: CarrierName,
    make: impl FnOnce(NumberSettings) -> NumberSettings,
    deadline: Deadline,
) -> Result<NumberSettings, ChangeError> {
    let now = app.clock.now();
    let sid = app.number_sid(&address).ok_or(Refusal::NotFound)?;
    let number = make(NumberSettings {
        sid,
        version: 1,
        friendly_name: address.to_string(),
        address,
        carrier,
        sms: None,
        sms_fallback: None,
        inbound_webhook: InboundWebhook::default(),
        date_created: now,
        date_updated: now,
    });
    made(app.store.number_put(&number, deadline).await)?;
    Ok(number)
}

/// Changes the number, if `select` accepts it.
pub async fn update_number(
    app: &App,
    address: &Address,
    select: impl Fn(&NumberSettings) -> bool,
    edit: impl Fn(NumberSettings) -> NumberSettings,
    deadline: Deadline,
) -> Result<NumberSettings, ChangeError> {
    replace(
        || async move { Ok(app.store.receiver_get(address, deadline).await?.number) },
        |before: NumberSettings| {
            let before = Some(before).filter(&select).ok_or(Refusal::NotFound)?;
            let (version, date_updated) = (before.version + 1, app.clock.now());
            let after = edit(before.clone());
            Ok((after != before)
                .then_some(NumberSettings {
                    version,
                    date_updated,
                    ..after
                })
                .ok_or(before))
        },
        |after| async move { app.store.number_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// Deletes the number, if `select` accepts it.
pub async fn delete_number(
    app: &App,
    address: &Address,
    select: impl Fn(&NumberSettings) -> bool,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    remove(
        || async move { Ok(app.store.receiver_get(address, deadline).await?.number) },
        select,
        |number| async move { app.store.number_delete(&number, deadline).await },
        deadline,
    )
    .await
}

pub async fn create_address_configuration(
    app: &App,
    address: Address,
    friendly_name: Option<String>,
    country: Option<String>,
    auto_creation: AutoCreation,
    deadline: Deadline,
) -> Result<AddressConfiguration, ChangeError> {
    let now = app.clock.now();
    let sid = app
        .address_configuration_sid(&address)
        .ok_or(Refusal::NotFound)?;
    let configuration = AddressConfiguration {
        sid,
        version: 1,
        address,
        friendly_name,
        country,
        auto_creation,
        date_created: now,
        date_updated: now,
    };
    made(
        app.store
            .address_configuration_put(&configuration, deadline)
            .await,
    )?;
    Ok(configuration)
}

/// Changes the address configuration, if `select` accepts it.
pub async fn update_address_configuration(
    app: &App,
    address: &Address,
    select: impl Fn(&AddressConfiguration) -> bool,
    edit: impl Fn(AddressConfiguration) -> Result<AddressConfiguration, ChangeError>,
    deadline: Deadline,
) -> Result<AddressConfiguration, ChangeError> {
    replace(
        || async move {
            Ok(app
                .store
                .receiver_get(address, deadline)
                .await?
                .configuration)
        },
        |before: AddressConfiguration| {
            let before = Some(before).filter(&select).ok_or(Refusal::NotFound)?;
            let (version, date_updated) = (before.version + 1, app.clock.now());
            let after = edit(before.clone())?;
            Ok((after != before)
                .then_some(AddressConfiguration {
                    version,
                    date_updated,
                    ..after
                })
                .ok_or(before))
        },
        |after| async move { app.store.address_configuration_put(&after, deadline).await },
        deadline,
    )
    .await
}

/// Deletes the address configuration, if `select` accepts it.
pub async fn delete_address_configuration(
    app: &App,
    address: &Address,
    select: impl Fn(&AddressConfiguration) -> bool,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    remove(
        || async move {
            Ok(app
                .store
                .receiver_get(address, deadline)
                .await?
                .configuration)
        },
        select,
        |found| async move {
            app.store
                .address_configuration_delete(&found, deadline)
                .await
        },
        deadline,
    )
    .await
}

/// Reads a record, edits it and writes it, until no other request has changed it in between. `edit` returns the record in
/// its new version, or `Err` with the record as it is if nothing changes.
pub(crate) async fn replace<T: Clone, R, W>(
    read: impl Fn() -> R,
    edit: impl Fn(T) -> Result<Result<T, T>, ChangeError>,
    write: impl Fn(T) -> W,
    deadline: Deadline,
) -> Result<T, ChangeError>
where
    R: Future<Output = Result<Option<T>, StoreError>>,
    W: Future<Output = Result<(), RecordError>>,
{
    for attempt in 1..=ATTEMPTS_MAX {
        let before = read().await?.ok_or(Refusal::NotFound)?;
        let after = match edit(before)? {
            Ok(after) => after,
            Err(before) => return Ok(before),
        };
        if !must_repeat(write(after.clone()).await, attempt, deadline).await? {
            return Ok(after);
        }
    }
    Err(ChangeError::Contended)
}

/// Reads a record and deletes it, until no other request has changed it in between.
pub(crate) async fn remove<T, R, W>(
    read: impl Fn() -> R,
    select: impl Fn(&T) -> bool,
    delete: impl Fn(T) -> W,
    deadline: Deadline,
) -> Result<(), ChangeError>
where
    R: Future<Output = Result<Option<T>, StoreError>>,
    W: Future<Output = Result<(), RecordError>>,
{
    for attempt in 1..=ATTEMPTS_MAX {
        let record = read().await?.filter(&select).ok_or(Refusal::NotFound)?;
        if !must_repeat(delete(record).await, attempt, deadline).await? {
            return Ok(());
        }
    }
    Err(ChangeError::Contended)
}

/// Whether to read and change the record again. Pauses before that.
pub(crate) async fn must_repeat(
    written: Result<(), RecordError>,
    attempt: u32,
    deadline: Deadline,
) -> Result<bool, StoreError> {
    match written {
        Ok(()) => Ok(false),
        Err(RecordError::Store(error)) => Err(error),
        Err(RecordError::Changed { .. }) => {
            store::pause(attempt, deadline).await;
            Ok(true)
        }
    }
}

/// The result of making a record.
pub(crate) fn made(written: Result<(), RecordError>) -> Result<(), ChangeError> {
    match written {
        Ok(()) => Ok(()),
        Err(RecordError::Changed { in_doubt: false }) => Err(Refusal::AddressTaken.into()),
        // The first attempt may still make the record, when the other record is deleted.
        Err(RecordError::Changed { in_doubt: true }) => {
            Err(ChangeError::Store(StoreError::Unknown {
                operation: "make a record",
                source: Box::new(Refusal::AddressTaken),
            }))
        }
        Err(RecordError::Store(error)) => Err(error.into()),
    }
}
