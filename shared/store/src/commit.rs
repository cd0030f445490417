//! A plan becomes one `TransactWriteItems`, or one conditional put where it is a single item.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use routing::{Condition, Conflict, ConversationSid, Found, ItemKey, Write};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::{self, Item};
use crate::key::DueKind;
use crate::{Store, key};

/// Why a plan was not carried out, as far as the table tells.
#[derive(Debug)]
pub enum CommitError {
    /// Another change was first. Nothing was written.
    Conflict(Conflict),
    Store(StoreError),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> CommitError {
        CommitError::Store(error)
    }
}

/// DynamoDB's bound on the actions of a transaction. The largest plan closes an expired conversation with
/// [`routing::Participant::PAIRS_MAX`] pairs and opens another: 59.
const ACTIONS_MAX: usize = 100;

/// One action of a transaction, in its parts.
struct Statement {
    action: Action,
    condition: Option<&'static str>,
    values: HashMap<String, AttributeValue>,
}

/// A transaction that failed by a condition.
pub(crate) struct Cancelled {
    /// One for each action, in their order.
    reasons: Vec<CancellationReason>,
    /// An earlier attempt of the same transaction had an unknown result.
    pub(crate) in_doubt: bool,
}

enum Action {
    Put(Item),
    Delete(Item),
    Update(Item, &'static str),
}

impl Store {
    /// Carries out the writes, all or none. Repeats the same request where its result is unknown. It is a success if
    /// DynamoDB says so, or if a slot or the journal holds the change's own id.
    pub async fn commit(&self, writes: &[Write], deadline: Deadline) -> Result<(), CommitError> {
        let mut statements = Vec::with_capacity(writes.len());
        let journaled: Vec<_> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Journal(entry) => entry.outcome.place(),
                _ => None,
            })
            .collect();
        for write in writes {
            statements.push(statement(write, &journaled)?);
        }
        match (writes, statements.as_slice()) {
            ([], _) => Ok(()),
            (
                [write],
                [
                    Statement {
                        action: Action::Put(item),
                        condition,
                        values,
                    },
                ],
            ) => self.put(write, item, *condition, values, deadline).await,
            _ if writes.len() > ACTIONS_MAX => Err(StoreError::Refused {
                operation: "commit a plan",
                source: format!("{} actions are more than {ACTIONS_MAX}", writes.len()).into(),
            }
            .into()),
            _ => self.transact(writes, statements, deadline).await,
        }
    }

    async fn put(
        &self,
        write: &Write,
        item: &Item,
        condition: Option<&'static str>,
        values: &HashMap<String, AttributeValue>,
        deadline: Deadline,
    ) -> Result<(), CommitError> {
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .set_condition_expression(condition.map(str::to_owned))
                .set_expression_attribute_values((!values.is_empty()).then(|| values.clone()))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        let operation = "commit a plan of one item";
        let never = |_: &PutItemError| false;
        let (written, in_doubt) =
            attempt::write_in_doubt(operation, deadline, send, decided, never).await?;
        match written {
            Written::Done(_) => Ok(()),
            Written::Failed(PutItemError::ConditionalCheckFailedException(failed)) => {
                let found = found(vec![(write, failed.item().cloned())])?;
                unless_own(Conflict { found, in_doubt }, std::slice::from_ref(write))
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }
            .into()),
        }
    }

    async fn transact(
        &self,
        writes: &[Write],
        statements: Vec<Statement>,
        deadline: Deadline,
    ) -> Result<(), CommitError> {
        let mut items = Vec::with_capacity(statements.len());
        for statement in statements {
            items.push(self.transact_item(statement)?);
        }
        let Some(cancelled) = self.transaction("commit a plan", items, deadline).await? else {
            return Ok(());
        };
        let failed = writes.iter().zip(&cancelled.reasons);
        let failed = failed.filter(|(_, reason)| reason.code() == Some(CONDITION_FAILED));
        let failed = failed.map(|(write, reason)| (write, reason.item().cloned()));
        let conflict = Conflict {
            found: found(failed.collect())?,
            in_doubt: cancelled.in_doubt,
        };
        unless_own(conflict, writes)
    }

    /// Sends one transaction under a client token of its own, until its result is known or the deadline has passed.
    /// `None`: it is done. Otherwise a condition failed.
    pub(crate) async fn transaction(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
        deadline: Deadline,
    ) -> Result<Option<Cancelled>, StoreError> {
        let token = client_token();
        let send = || {
            self.client
                .transact_write_items()
                .client_request_token(&token)
                .set_transact_items(Some(items.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = TransactWriteItemsError::is_transaction_canceled_exception;
        let again = |error: &TransactWriteItemsError| match error {
            TransactWriteItemsError::TransactionCanceledException(canceled) => {
                only_other_traffic(canceled.cancellation_reasons())
            }
            _ => false,
        };
        let (written, in_doubt) =
            attempt::write_in_doubt(operation, deadline, send, decided, again).await?;
        let failed = match written {
            Written::Done(_) => return Ok(None),
            Written::Failed(failed) => failed,
        };
        if let TransactWriteItemsError::TransactionCanceledException(canceled) = &failed {
            let reasons = canceled.cancellation_reasons();
            if reasons
                .iter()
                .any(|reason| reason.code() == Some(CONDITION_FAILED))
            {
                return Ok(Some(Cancelled {
                    reasons: reasons.to_vec(),
                    in_doubt,
                }));
            }
        }
        Err(StoreError::Refused {
            operation,
            source: Box::new(failed),
        })
    }

    fn transact_item(&self, statement: Statement) -> Result<TransactWriteItem, StoreError> {
        let Statement {
            action,
            condition,
            values,
        } = statement;
        let condition = condition.map(str::to_owned);
        let values = (!values.is_empty()).then_some(values);
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let built = match action {
            Action::Put(item) => Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(all_old)
                .build()
                .map(|put| TransactWriteItem::builder().put(put)),
            Action::Delete(key) => Delete::builder()
                .table_name(&self.table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(all_old)
                .build()
                .map(|delete| TransactWriteItem::builder().delete(delete)),
            Action::Update(key, expression) => Update::builder()
                .table_name(&self.table)
                .set_key(Some(key))
                .update_expression(expression)
                .set_condition_expression(condition)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(all_old)
                .build()
                .map(|update| TransactWriteItem::builder().update(update)),
        };
        built
            .map(|item| item.build())
            .map_err(|error| StoreError::Refused {
                operation: "build a transaction",
                source: Box::new(error),
            })
    }
}

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// Whether only other traffic cancelled a transaction: nothing was written, and the same may be sent again.
fn only_other_traffic(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons
        .iter()
        .filter_map(|reason| reason.code())
        .filter(|code| *code != "None")
        .peekable();
    codes.peek().is_some()
        && codes.all(|code| {
            matches!(
                code,
                "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"
            )
        })
}

/// DynamoDB knows a token for ten minutes: the same request under the same token is done once.
fn client_token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    routing::ChangeId::from_bytes(bytes).to_string()
}

/// The items that made conditions fail.
fn found(failed: Vec<(&Write, Option<Item>)>) -> Result<Vec<(ItemKey, Found)>, StoreError> {
    let found = failed.into_iter().map(|(write, item)| {
        let key = write.key();
        let there = match item {
            None => Found::Nothing,
            Some(item) => found_item(&key, item)?,
        };
        Ok((key, there))
    });
    found.collect()
}

/// Success, if the plan has happened already.
fn unless_own(conflict: Conflict, writes: &[Write]) -> Result<(), CommitError> {
    match conflict.is_own(writes) {
        true => Ok(()),
        false => Err(CommitError::Conflict(conflict)),
    }
}

fn found_item(key: &ItemKey, item: Item) -> Result<Found, StoreError> {
    Ok(match key {
        ItemKey::Slot(..) => Found::Entry(Box::new(item::entry::from_item(item)?)),
        ItemKey::Journal(_) => Found::Journal(Box::new(item::journal::from_item(item)?)),
        ItemKey::Binding(_) => Found::Binding(item::binding::from_item(item)?),
        ItemKey::Name(..) => Found::Name(item::claim::holder(item)?),
        _ => Found::Record,
    })
}

/// `journaled`: the slots that a journal entry of the same plan names; the time index needs no other name for them.
fn statement(write: &Write, journaled: &[(ConversationSid, u64)]) -> Result<Statement, StoreError> {
    let mut values = HashMap::new();
    let condition = match write.condition() {
        Condition::Absent => Some("attribute_not_exists(pk)"),
        Condition::Exists => Some("attribute_exists(pk)"),
        Condition::HeldBy(conversation) => {
            values.insert(":holder".to_owned(), item::bytes(conversation.as_bytes()));
            Some("c = :holder")
        }
        Condition::Version(version) => {
            values.insert(":version".to_owned(), item::number(version));
            Some("v = :version")
        }
        Condition::None => None,
    };
    let key = key::of(&write.key());
    let action = match write {
        Write::Append(entry) => {
            let named = journaled.contains(&(entry.conversation, entry.slot));
            Action::Put(item::entry::to_item(entry, !named)?)
        }
        Write::Journal(entry) => Action::Put(item::journal::to_item(entry)?),
        Write::Claim {
            key: held, binding, ..
        } => Action::Put(item::binding::to_item(held, binding)?),
        Write::ClaimName { conversation, .. } => Action::Put(item::claim::name(key, *conversation)),
        Write::ClaimIdentity { participant, .. } => {
            Action::Put(item::claim::identity(key, *participant))
        }
        Write::PutMetadata(metadata) => Action::Put(item::metadata::to_item(metadata)?),
        Write::PutParticipant(participant) => Action::Put(item::participant::to_item(participant)?),
        Write::PutTimer { conversation, due } => {
            Action::Put(item::claim::due(DueKind::Timer, key, *conversation, *due))
        }
        Write::PutPurge { conversation, due } => {
            Action::Put(item::claim::due(DueKind::Purge, key, *conversation, *due))
        }
        Write::PutWebhook(webhook) => Action::Put(item::webhook::to_item(webhook)?),
        Write::PutRevision {
            conversation,
            revision,
        } => Action::Put(item::revision::to_item(*conversation, revision)?),
        Write::Release { .. }
        | Write::ReleaseName { .. }
        | Write::ReleaseIdentity { .. }
        | Write::DeleteMetadata { .. }
        | Write::DeleteParticipant { .. }
        | Write::DeleteTimer { .. } => Action::Delete(item::key(key)),
        Write::SetState { state, at, .. } => {
            values.insert(":state".to_owned(), item::number(item::state_code(*state)));
            values.insert(":at".to_owned(), item::milliseconds(*at));
            values.insert(":one".to_owned(), item::number(1));
            Action::Update(item::key(key), "SET st = :state, du = :at, v = v + :one")
        }
        Write::Blank { .. } => Action::Update(item::key(key), "REMOVE m.b, m.m, m.x"),
    };
    Ok(Statement {
        action,
        condition,
        values,
    })
}
