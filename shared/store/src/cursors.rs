//! Cursors: how far each consumer has come, and the writes that move them.
//!
//! Each write is a single conditional update. What correctness needs is one condition: a cursor moves from where its
//! mover saw it. Leases and due times save work and time.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use jiff::Timestamp;
use routing::{Consumer, ConversationSid, Cursor, Entry, Lane, Lease, Look, Position, gapless};

use crate::Store;
use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::{self, Item, bytes, cursor, log_key, milliseconds, number};
use crate::key::{self, DueKind, Key};
use crate::table::GSI1;

/// How many of the newest items of a log are looked at first. Enough for all that a consumer has not passed, as a rule,
/// and still one read unit or two.
const NEWEST: i32 = 5;
/// How many items of a log are read at once where a consumer lags further behind.
const STRETCH: i32 = 50;
/// How many cursors a conversation may have: the relay, the numbers, the account's and the service's endpoint, the five
/// webhooks that a conversation may have, and as many that were removed.
const CURSORS_MAX: i32 = 14;

/// A consumer's cursor as a look found it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub conversation: ConversationSid,
    pub consumer: Consumer,
    /// `None`: it was not there.
    pub cursor: Option<&'a Cursor>,
    pub at: Timestamp,
}

/// A run's hold on a cursor: where it stands, and what it saw.
#[derive(Clone, Debug)]
pub struct Held {
    pub conversation: ConversationSid,
    pub consumer: Consumer,
    owner: [u8; 16],
    /// As it is now.
    pub cursor: Cursor,
}

/// What a run leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    pub next: Position,
    pub failures: u32,
    pub lanes: Vec<Lane>,
    /// When the clock is to look at it again; `None`: all is done.
    pub due: Option<Timestamp>,
}

impl Store {
    /// Cursors, settings and the newest entries, at once.
    pub async fn look(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<Look, StoreError> {
        let (cursors, (newest, _), account) = tokio::try_join!(
            self.cursors_get(conversation, deadline),
            self.log_query(
                conversation,
                key::LOG_FIRST,
                key::LOG_END,
                true,
                NEWEST,
                deadline
            ),
            self.account_get(deadline),
        )?;
        let mut newest = entries(newest)?;
        newest.reverse();
        Ok(Look::new(account, cursors, newest))
    }

    async fn cursors_get(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<Vec<(Consumer, Cursor)>, StoreError> {
        let (items, _) = self
            .log_query(
                conversation,
                key::CURSOR_FIRST,
                key::CURSOR_END,
                false,
                CURSORS_MAX,
                deadline,
            )
            .await?;
        items.into_iter().map(cursor::from_item).collect()
    }

    /// The entries from `slot` on, up to the first that is missing; not all of them where there are many.
    pub async fn stretch(
        &self,
        conversation: ConversationSid,
        slot: u64,
        look: &Look,
        deadline: Deadline,
    ) -> Result<Vec<Entry>, StoreError> {
        if let Some(entries) = look.entries_from(slot) {
            return Ok(entries);
        }
        let from = key::log_from(slot);
        let (items, _) = self
            .log_query(conversation, &from, key::LOG_END, false, STRETCH, deadline)
            .await?;
        Ok(gapless(entries(items)?, slot))
    }

    /// Takes a cursor for a run and moves it to `next`, if it still stands where it was seen, nobody has it, and nobody has
    /// put it off since. `None`: somebody else was faster.
    pub async fn cursor_lease(
        &self,
        seen: Seen<'_>,
        next: Position,
        lease: Lease,
        deadline: Deadline,
    ) -> Result<Option<Held>, StoreError> {
        let mut update = Update::new(seen.conversation, seen.consumer);
        update.set("ns", "slot", number(next.slot));
        update.set("ne", "event", number(next.event));
        update.set("lo", "owner", bytes(&lease.owner));
        update.set("lu", "until", milliseconds(lease.until));
        let condition = match seen.cursor {
            None => "attribute_not_exists(pk) OR lo = :owner".to_owned(),
            Some(cursor) => {
                let free = update.free(cursor, seen.at);
                if next != cursor.next && cursor.failures > 0 {
                    update.set("fa", "failures", number(0));
                }
                let mut due = "attribute_not_exists(du) OR du <= :now".to_owned();
                if let Some(seen_due) = cursor.due {
                    update.value("seen_due", milliseconds(seen_due));
                    due.push_str(" OR du = :seen_due");
                }
                format!("lo = :owner OR ({free} AND ({due}))")
            }
        };
        let written = self
            .cursor_update("take a cursor", update, &condition, deadline)
            .await?;
        let Updated::Done(Some(item)) = written else {
            return Ok(None);
        };
        let (_, cursor) = cursor::from_item(item)?;
        Ok(Some(Held {
            conversation: seen.conversation,
            consumer: seen.consumer,
            owner: lease.owner,
            cursor,
        }))
    }

    /// Moves a cursor that a run holds, and makes the lease last until `until`. `false`: the run holds it no more.
    pub async fn cursor_move(
        &self,
        held: &mut Held,
        next: Position,
        failures: u32,
        lanes: Vec<Lane>,
        until: Timestamp,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let mut update = Update::new(held.conversation, held.consumer);
        update.place(next, failures, &lanes, &held.cursor)?;
        update.set("lu", "until", milliseconds(until));
        let condition = update.held(held);
        let written = self
            .cursor_update("move a cursor", update, condition, deadline)
            .await?;
        let moved = match written {
            Updated::Done(_) => true,
            Updated::Failed(there) => there.is_some_and(|there| {
                there.next == next && there.lease.is_some_and(|lease| lease.owner == held.owner)
            }),
        };
        if moved {
            held.cursor.next = next;
            held.cursor.failures = failures;
            held.cursor.lanes = lanes;
            if let Some(lease) = &mut held.cursor.lease {
                lease.until = until;
            }
        }
        Ok(moved)
    }

    /// The last move of a run gives the lease back. The due time becomes the run's own if it still is the one that the
    /// run found; another that came meanwhile stays.
    pub async fn cursor_leave(
        &self,
        held: Held,
        rest: &Rest,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let seen = held.cursor.due;
        let mut update = Update::new(held.conversation, held.consumer);
        update.place(rest.next, rest.failures, &rest.lanes, &held.cursor)?;
        update.remove("lo");
        update.remove("lu");
        let plain = update.clone();
        update.due(rest.due, seen);
        let condition = match seen {
            None => format!("{} AND attribute_not_exists(du)", update.held(&held)),
            Some(seen) => {
                update.value("seen_due", milliseconds(seen));
                format!("{} AND du = :seen_due", update.held(&held))
            }
        };
        let written = self
            .cursor_update("leave a cursor", update, &condition, deadline)
            .await?;
        if let Updated::Failed(Some(there)) = written
            && there.lease.is_some_and(|lease| lease.owner == held.owner)
        {
            let mut update = plain;
            let condition = update.held(&held);
            self.cursor_update("leave a cursor", update, condition, deadline)
                .await?;
        }
        Ok(())
    }

    /// Passes over what is owed to nobody, without a lease, and clears the due time that was seen if nothing lies behind
    /// (`ended`). Nothing happens where the cursor is not as it was seen, or somebody has it.
    pub async fn cursor_skip(
        &self,
        seen: Seen<'_>,
        next: Position,
        ended: bool,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut update = Update::new(seen.conversation, seen.consumer);
        update.set("ns", "slot", number(next.slot));
        update.set("ne", "event", number(next.event));
        let condition = match seen.cursor {
            None => "attribute_not_exists(pk)".to_owned(),
            Some(cursor) => {
                let mut condition = update.free(cursor, seen.at).to_owned();
                if cursor.failures > 0 {
                    update.set("fa", "failures", number(0));
                }
                if let Some(due) = cursor.due.filter(|due| ended || *due > seen.at) {
                    update.value("seen_due", milliseconds(due));
                    // What waits in a lane still does; what lies behind waits no longer.
                    let lanes = cursor.lanes.iter().map(|lane| lane.due);
                    let now = (!ended).then_some(seen.at);
                    update.due(lanes.chain(now).min(), Some(due));
                    condition.push_str(" AND du = :seen_due");
                }
                condition
            }
        };
        self.cursor_update("pass over", update, &condition, deadline)
            .await
            .map(drop)
    }

    /// Makes a cursor due, unless it is already. `even_if_ahead`: also one whose due time lies ahead. Whether it was this
    /// that made it due.
    pub async fn cursor_wake(
        &self,
        conversation: ConversationSid,
        consumer: Consumer,
        beginning: Position,
        even_if_ahead: bool,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let mut update = Update::new(conversation, consumer);
        update.set_if_absent("ns", "slot", number(beginning.slot));
        update.set_if_absent("ne", "event", number(beginning.event));
        update.due(Some(now), None);
        let condition = match even_if_ahead {
            true => "attribute_not_exists(du) OR du > :due",
            false => "attribute_not_exists(du)",
        };
        let updated = self.cursor_update("wake a cursor", update, condition, deadline);
        Ok(matches!(updated.await?, Updated::Done(_)))
    }

    async fn cursor_update(
        &self,
        operation: &'static str,
        update: Update,
        condition: &str,
        deadline: Deadline,
    ) -> Result<Updated, StoreError> {
        let expression = update.expression();
        let key = item::key(update.key);
        let send = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(&expression)
                .condition_expression(condition)
                .set_expression_attribute_values(Some(update.values.clone()))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = UpdateItemError::is_conditional_check_failed_exception;
        match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(UpdateItemOutput { attributes, .. }) => Ok(Updated::Done(attributes)),
            Written::Failed(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let there = failed.item().cloned().map(cursor::from_item).transpose()?;
                Ok(Updated::Failed(there.map(|(_, cursor)| cursor)))
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }),
        }
    }
}

/// The entries among the items of a log, in their order.
fn entries(items: Vec<Item>) -> Result<Vec<Entry>, StoreError> {
    items
        .into_iter()
        .filter(|item| log_key(item).is_some_and(|(_, entry)| entry))
        .map(item::entry::from_item)
        .collect()
}

/// How an update ended.
enum Updated {
    /// With the item as it is now.
    Done(Option<Item>),
    /// The condition failed; this stood there.
    Failed(Option<Cursor>),
}

/// An update of a cursor in the making.
#[derive(Clone)]
struct Update {
    conversation: ConversationSid,
    key: Key,
    sets: Vec<String>,
    removes: Vec<&'static str>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    fn new(conversation: ConversationSid, consumer: Consumer) -> Update {
        let mut update = Update {
            conversation,
            key: key::cursor(conversation, consumer),
            sets: Vec::new(),
            removes: Vec::new(),
            values: HashMap::new(),
        };
        update.set("v", "version", number(1));
        update
    }

    fn value(&mut self, name: &str, value: AttributeValue) {
        self.values.insert(format!(":{name}"), value);
    }

    fn set(&mut self, attribute: &str, name: &str, value: AttributeValue) {
        self.sets.push(format!("{attribute} = :{name}"));
        self.value(name, value);
    }

    fn set_if_absent(&mut self, attribute: &str, name: &str, value: AttributeValue) {
        self.sets
            .push(format!("{attribute} = if_not_exists({attribute}, :{name})"));
        self.value(name, value);
    }

    fn remove(&mut self, attribute: &'static str) {
        self.removes.push(attribute);
    }

    fn place(
        &mut self,
        next: Position,
        failures: u32,
        lanes: &[Lane],
        before: &Cursor,
    ) -> Result<(), StoreError> {
        self.set("ns", "slot", number(next.slot));
        self.set("ne", "event", number(next.event));
        if failures != before.failures {
            self.set("fa", "failures", number(failures));
        }
        if lanes != before.lanes {
            let value = cursor::lanes(&self.key, lanes)?;
            self.set("la", "lanes", value);
        }
        Ok(())
    }

    /// The due time, and its place in the index.
    fn due(&mut self, due: Option<Timestamp>, before: Option<Timestamp>) {
        if due == before {
            return;
        }
        let Some(due) = due else {
            for attribute in ["du", GSI1.partition_key, GSI1.sort_key] {
                self.remove(attribute);
            }
            return;
        };
        let place = key::due(DueKind::Cursor, self.conversation, &self.key.sk, due);
        self.set("du", "due", milliseconds(due));
        self.set(GSI1.partition_key, "gp", AttributeValue::S(place.pk));
        self.set(GSI1.sort_key, "gs", AttributeValue::S(place.sk));
    }

    /// The condition that a cursor stands where it was seen, and that nobody has it.
    fn free(&mut self, seen: &Cursor, at: Timestamp) -> &'static str {
        self.value("seen_slot", number(seen.next.slot));
        self.value("seen_event", number(seen.next.event));
        self.value("now", milliseconds(at));
        "ns = :seen_slot AND ne = :seen_event AND (attribute_not_exists(lo) OR lu <= :now)"
    }

    /// The condition that the run still holds the cursor, and that it stands where the run saw it.
    fn held(&mut self, held: &Held) -> &'static str {
        self.value("from_slot", number(held.cursor.next.slot));
        self.value("from_event", number(held.cursor.next.event));
        self.value("mine", bytes(&held.owner));
        "ns = :from_slot AND ne = :from_event AND lo = :mine"
    }

    fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.removes.join(", "));
        }
        expression
    }
}
