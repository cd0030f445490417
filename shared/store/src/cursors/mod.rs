//! Cursors: how far each consumer has come, and the one write that moves them.
//!
//! Each write and its condition come from [`routing`] as a value; this module only turns them into DynamoDB's language.

mod expression;
mod look;

use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use routing::consumer::write::AfterRefusal;
use routing::{Consumer, ConversationSid, Cursor, CursorWrite};

use crate::Store;
use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::{self, cursor};
use crate::key;
use expression::Expression;

impl Store {
    /// Carries a write out. The cursor as it is after it; `None`: the condition failed, and nothing was written.
    pub async fn cursor_write(
        &self,
        conversation: ConversationSid,
        consumer: Consumer,
        write: &CursorWrite,
        deadline: Deadline,
    ) -> Result<Option<Cursor>, StoreError> {
        let mut write = write;
        loop {
            let found = match self
                .cursor_update(conversation, consumer, write, deadline)
                .await?
            {
                Updated::Done(cursor) => return Ok(Some(cursor)),
                Updated::Failed(found) => found,
            };
            match write.after_refusal(found.as_ref()) {
                AfterRefusal::Done => return Ok(found),
                AfterRefusal::Write(instead) => write = instead,
                AfterRefusal::Lost => return Ok(None),
            }
        }
    }

    async fn cursor_update(
        &self,
        conversation: ConversationSid,
        consumer: Consumer,
        write: &CursorWrite,
        deadline: Deadline,
    ) -> Result<Updated, StoreError> {
        let operation = write.purpose;
        let key = key::cursor(conversation, consumer);
        let expression = Expression::of(write, conversation, &key)?;
        let key = item::key(key);
        let send = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(&expression.update)
                .condition_expression(&expression.condition)
                .set_expression_attribute_values(Some(expression.values.clone()))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = UpdateItemError::is_conditional_check_failed_exception;
        match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(UpdateItemOutput { attributes, .. }) => {
                let (_, cursor) = cursor::from_item(attributes.unwrap_or_default())?;
                Ok(Updated::Done(cursor))
            }
            Written::Failed(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let found = failed.item().cloned().map(cursor::from_item).transpose()?;
                Ok(Updated::Failed(found.map(|(_, cursor)| cursor)))
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }),
        }
    }
}

/// How an update ended.
enum Updated {
    /// With the cursor as it is now.
    Done(Cursor),
    /// The condition failed; this stood there.
    Failed(Option<Cursor>),
}
