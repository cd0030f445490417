//! The account's settings.

use routing::AccountSettings;

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::key::SETTINGS_COPIES;
use crate::record::RecordError;
use crate::{Store, item, key};

/// One of the equal copies of settings, picked at random.
pub(crate) fn any_copy() -> u8 {
    let random = getrandom::u32().unwrap_or(0) % u32::from(SETTINGS_COPIES);
    random as u8
}

impl Store {
    /// One of the account's equal copies, picked at random.
    pub async fn account_get(&self, deadline: Deadline) -> Result<AccountSettings, StoreError> {
        let item = self.get(key::account(any_copy()), deadline).await?;
        item.map_or_else(|| Ok(AccountSettings::default()), item::account::from_item)
    }

    /// Replaces the account's settings, whose version is one more than the one that was read. In force when this
    /// returns: all copies change together, and every message reads one of them strongly.
    pub async fn account_put(
        &self,
        settings: &AccountSettings,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let item_of = |copy| item::account::to_item(settings, copy);
        let puts = self.replacing_copies(item_of, settings.version)?;
        self.record_write("write the account's settings", puts, deadline)
            .await
    }
}
