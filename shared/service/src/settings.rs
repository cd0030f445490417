//! Change what users configure: read, change, replace if nobody else did meanwhile.

use routing::{
    AccountSettings, Address, AddressConfiguration, AutoCreation, CarrierName, InboundWebhook,
    NumberSettings,
};
use store::{Deadline, SettingsError, StoreError};

use crate::App;
use crate::change::ChangeError;

/// How often a change of one record is tried while others change it too.
const ATTEMPTS_MAX: u32 = 20;

/// Changes the account's settings; in force when this returns.
pub async fn update_account(
    app: &App,
    edit: impl Fn(AccountSettings) -> AccountSettings,
    deadline: Deadline,
) -> Result<AccountSettings, ChangeError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let before = app.store.account_get(deadline).await?;
        let after = edit(before.clone());
        if after == before {
            return Ok(before);
        }
        let after = AccountSettings {
            version: before.version + 1,
            ..after
        };
        match again(
            app.store.account_put(&after, deadline).await,
            attempt,
            deadline,
        )
        .await?
        {
            true => continue,
            false => return Ok(after),
        }
    }
    Err(ChangeError::Contended)
}

/// A number that we are to receive on. `make` fills in what the address does not tell.
pub async fn create_number(
    app: &App,
    address: Address,
    carrier: CarrierName,
    make: impl FnOnce(NumberSettings) -> NumberSettings,
    deadline: Deadline,
) -> Result<NumberSettings, ChangeError> {
    let now = app.clock.now();
    let sid = app.number_sid(&address).ok_or(ChangeError::NotFound)?;
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
    taken(app.store.number_put(&number, deadline).await)?;
    Ok(number)
}

/// Changes a number that `select` finds to be the one meant.
pub async fn update_number(
    app: &App,
    address: &Address,
    select: impl Fn(&NumberSettings) -> bool,
    edit: impl Fn(NumberSettings) -> NumberSettings,
    deadline: Deadline,
) -> Result<NumberSettings, ChangeError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let before = app
            .store
            .receiver_get(address, deadline)
            .await?
            .0
            .filter(&select);
        let before = before.ok_or(ChangeError::NotFound)?;
        let after = edit(before.clone());
        if after == before {
            return Ok(before);
        }
        let date_updated = app.clock.now();
        let after = NumberSettings {
            version: before.version + 1,
            date_updated,
            ..after
        };
        match again(
            app.store.number_put(&after, deadline).await,
            attempt,
            deadline,
        )
        .await?
        {
            true => continue,
            false => return Ok(after),
        }
    }
    Err(ChangeError::Contended)
}

pub async fn delete_number(
    app: &App,
    address: &Address,
    select: impl Fn(&NumberSettings) -> bool,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let number = app
            .store
            .receiver_get(address, deadline)
            .await?
            .0
            .filter(&select);
        let number = number.ok_or(ChangeError::NotFound)?;
        if !again(
            app.store.number_delete(&number, deadline).await,
            attempt,
            deadline,
        )
        .await?
        {
            return Ok(());
        }
    }
    Err(ChangeError::Contended)
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
        .ok_or(ChangeError::NotFound)?;
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
    taken(
        app.store
            .address_configuration_put(&configuration, deadline)
            .await,
    )?;
    Ok(configuration)
}

/// Changes an address configuration that `select` finds to be the one meant.
pub async fn update_address_configuration(
    app: &App,
    address: &Address,
    select: impl Fn(&AddressConfiguration) -> bool,
    edit: impl Fn(AddressConfiguration) -> Result<AddressConfiguration, ChangeError>,
    deadline: Deadline,
) -> Result<AddressConfiguration, ChangeError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let before = app
            .store
            .receiver_get(address, deadline)
            .await?
            .1
            .filter(&select);
        let before = before.ok_or(ChangeError::NotFound)?;
        let after = edit(before.clone())?;
        if after == before {
            return Ok(before);
        }
        let date_updated = app.clock.now();
        let after = AddressConfiguration {
            version: before.version + 1,
            date_updated,
            ..after
        };
        match again(
            app.store.address_configuration_put(&after, deadline).await,
            attempt,
            deadline,
        )
        .await?
        {
            true => continue,
            false => return Ok(after),
        }
    }
    Err(ChangeError::Contended)
}

pub async fn delete_address_configuration(
    app: &App,
    address: &Address,
    select: impl Fn(&AddressConfiguration) -> bool,
    deadline: Deadline,
) -> Result<(), ChangeError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let found = app
            .store
            .receiver_get(address, deadline)
            .await?
            .1
            .filter(&select);
        let found = found.ok_or(ChangeError::NotFound)?;
        if !again(
            app.store
                .address_configuration_delete(&found, deadline)
                .await,
            attempt,
            deadline,
        )
        .await?
        {
            return Ok(());
        }
    }
    Err(ChangeError::Contended)
}

/// Whether a record is to be read and changed again, after a pause.
async fn again(
    written: Result<(), SettingsError>,
    attempt: u32,
    deadline: Deadline,
) -> Result<bool, StoreError> {
    match written {
        Ok(()) => Ok(false),
        Err(SettingsError::Store(error)) => Err(error),
        Err(SettingsError::Changed) => {
            store::pause(attempt, deadline).await;
            Ok(true)
        }
    }
}

fn taken(written: Result<(), SettingsError>) -> Result<(), ChangeError> {
    match written {
        Ok(()) => Ok(()),
        Err(SettingsError::Changed) => Err(ChangeError::AddressTaken),
        Err(SettingsError::Store(error)) => Err(error.into()),
    }
}
