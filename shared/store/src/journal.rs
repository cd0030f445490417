//! The journal: read by its key, and noted on after the reply to a fall-through. A plan writes the entries; the record of
//! an unreadable message is put here.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use routing::{ChangeId, ForwardState, JournalEntry, MessageKey, Unreadable, UnreadableKey};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::{Store, item, key};

/// Whether a record is new in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New,
    /// The journal had it before; nothing was written.
    Duplicate,
}

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

    /// Puts an unreadable message, unless the journal has it. `change` names this request, so that a repetition of this
    /// put after a lost answer knows its own work.
    pub async fn unreadable_put(
        &self,
        unreadable: &Unreadable,
        change: ChangeId,
        deadline: Deadline,
    ) -> Result<Recorded, StoreError> {
        let operation = "journal an unreadable message";
        let item = item::unreadable::to_item(unreadable, change)?;
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(_) => Ok(Recorded::New),
            Written::Failed(PutItemError::ConditionalCheckFailedException(failed)) => {
                let there = failed.item();
                let own = there.is_some_and(|item| item::unreadable::is_of(item, change));
                Ok(match own {
                    true => Recorded::New,
                    false => Recorded::Duplicate,
                })
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }),
        }
    }

    pub async fn unreadable_get(
        &self,
        message: &UnreadableKey,
        deadline: Deadline,
    ) -> Result<Option<Unreadable>, StoreError> {
        self.get(key::unreadable(message), deadline)
            .await?
            .map(item::unreadable::from_item)
            .transpose()
    }

    /// Notes how a fall-through ended. Not required for correctness: an entry that stays `pending` is counted and can be
    /// replayed. Of two attempts that overlap, a failed attempt never hides one that was answered.
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
