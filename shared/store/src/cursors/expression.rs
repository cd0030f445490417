//! A cursor's write in DynamoDB's language.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use routing::{ConversationSid, CursorAssignment, CursorCondition, CursorWrite, Position};

use crate::error::StoreError;
use crate::item::{bytes, cursor, milliseconds, number};
use crate::key::{self, DueKind, Key};
use crate::table::GSI1;

pub(super) struct Expression {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// `key`: the cursor's.
    pub(super) fn of(
        write: &CursorWrite,
        conversation: ConversationSid,
        key: &Key,
    ) -> Result<Expression, StoreError> {
        let mut update = Update::default();
        update.set("v", number(1));
        for assignment in &write.assignments {
            match assignment {
                CursorAssignment::Next(Position { slot, event }) => {
                    update.set("ns", number(*slot));
                    update.set("ne", number(*event));
                }
                CursorAssignment::NextIfAbsent(Position { slot, event }) => {
                    update.set_if_absent("ns", number(*slot));
                    update.set_if_absent("ne", number(*event));
                }
                CursorAssignment::Failures(failures) => update.set("fa", number(*failures)),
                CursorAssignment::Lanes(lanes) => update.set("la", cursor::lanes(key, lanes)?),
                CursorAssignment::Lease(lease) => {
                    update.set("lo", bytes(&lease.owner));
                    update.set("lu", milliseconds(lease.until));
                }
                CursorAssignment::NoLease => update.removes.extend(["lo", "lu"]),
                // The due time, and its place in the index.
                CursorAssignment::Due(due) => {
                    let place = key::due(DueKind::Cursor, conversation, &key.sk, *due);
                    update.set("du", milliseconds(*due));
                    update.set(GSI1.partition_key, AttributeValue::S(place.pk));
                    update.set(GSI1.sort_key, AttributeValue::S(place.sk));
                }
                CursorAssignment::NoDue => {
                    update
                        .removes
                        .extend(["du", GSI1.partition_key, GSI1.sort_key]);
                }
            }
        }
        let condition = update.values.condition(&write.condition);
        let mut expression = format!("SET {}", update.sets.join(", "));
        if !update.removes.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&update.removes.join(", "));
        }
        Ok(Expression {
            update: expression,
            condition,
            values: update.values.0,
        })
    }
}

#[derive(Default)]
struct Update {
    sets: Vec<String>,
    removes: Vec<&'static str>,
    values: Values,
}

impl Update {
    fn set(&mut self, attribute: &str, value: AttributeValue) {
        let value = self.values.name(value);
        self.sets.push(format!("{attribute} = {value}"));
    }

    fn set_if_absent(&mut self, attribute: &str, value: AttributeValue) {
        let value = self.values.name(value);
        self.sets
            .push(format!("{attribute} = if_not_exists({attribute}, {value})"));
    }
}

/// The values of an expression, each under a name of its own.
#[derive(Default)]
struct Values(HashMap<String, AttributeValue>);

impl Values {
    fn name(&mut self, value: AttributeValue) -> String {
        let name = format!(":v{}", self.0.len());
        self.0.insert(name.clone(), value);
        name
    }

    fn condition(&mut self, condition: &CursorCondition) -> String {
        match condition {
            CursorCondition::All(all) => self.joined(all, " AND "),
            CursorCondition::Any(any) => self.joined(any, " OR "),
            CursorCondition::Absent => "attribute_not_exists(pk)".to_owned(),
            CursorCondition::At(Position { slot, event }) => {
                let (slot, event) = (self.name(number(*slot)), self.name(number(*event)));
                format!("(ns = {slot} AND ne = {event})")
            }
            CursorCondition::Free(by) => {
                let by = self.name(milliseconds(*by));
                format!("(attribute_not_exists(lo) OR lu <= {by})")
            }
            CursorCondition::LeasedTo(owner) => format!("lo = {}", self.name(bytes(owner))),
            CursorCondition::NoDue => "attribute_not_exists(du)".to_owned(),
            CursorCondition::DueIs(at) => format!("du = {}", self.name(milliseconds(*at))),
            CursorCondition::DueBy(at) => format!("du <= {}", self.name(milliseconds(*at))),
            CursorCondition::DueAfter(at) => format!("du > {}", self.name(milliseconds(*at))),
        }
    }

    fn joined(&mut self, conditions: &[CursorCondition], word: &str) -> String {
        let each: Vec<String> = conditions
            .iter()
            .map(|condition| self.condition(condition))
            .collect();
        format!("({})", each.join(word))
    }
}
