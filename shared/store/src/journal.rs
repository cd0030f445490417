//! The journal: read by its key, and noted on after a fall-through's answer.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use routing::{ForwardState, JournalEntry, MessageKey};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::{Store, item, key};

impl Store {
    pub async fn journal_get(
        &self,
        message: &MessageKey,
        deadline: Deadline,
    ) -> Result<Option<JournalEntry>, StoreError> {
        self.get(key::journal(message), deadline)
            .await?
            .map(item::journal::from_item)
            .transpose()
    }

    /// Notes how a fall-through ended. Not required for correctness: what stays `pending` is counted and can be
    /// replayed. Of two attempts that overlap, one that failed never hides one that was answered.
    pub async fn journal_note(
        &self,
        message: &MessageKey,
        state: ForwardState,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let Some(code) = item::journal::forward_code(state) else {
            return Ok(());
        };
        let condition = match state {
            ForwardState::Failed => {
                "attribute_exists(pk) AND (attribute_not_exists(fs) OR fs = :state)"
            }
            _ => "attribute_exists(pk)",
        };
        let key = item::key(key::journal(message));
        let send = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression("SET fs = :state")
                .condition_expression(condition)
                .expression_attribute_values(":state", item::number(code))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = UpdateItemError::is_conditional_check_failed_exception;
        let noted = attempt::write(
            "note how a fall-through ended",
            deadline,
            send,
            decided,
            |_| false,
        );
        noted.await.map(drop)
    }
}
