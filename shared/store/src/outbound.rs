//! Records of what we send: a run claims one before it calls the carrier, and notes in it how the call ended.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use routing::{
    CarrierMessageSid, ConversationSid, Outbound, OutboundCondition, OutboundState, ParticipantSid,
};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::number;
use crate::item::outbound::{SENDING, WAITING, state_code};
use crate::key::outbound_sid;
use crate::{Store, item, key};

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The attempt that asked has the record, and calls the carrier.
    Mine,
    /// Another attempt had the record, or it has ended: this is its state.
    Found(OutboundState),
}

impl Store {
    /// Claims a record for the attempt that `outbound.state` names, if the record is [claimable](OutboundCondition).
    pub async fn outbound_claim(
        &self,
        outbound: &Outbound,
        deadline: Deadline,
    ) -> Result<Claimed, StoreError> {
        let OutboundState::Sending { attempt, .. } = outbound.state else {
            return Ok(Claimed::Found(outbound.state.clone()));
        };
        let item = item::outbound::to_item(outbound)?;
        let condition = Expression::of(OutboundCondition::Claimable);
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression(condition.text)
                .set_expression_attribute_names(condition.names.clone())
                .set_expression_attribute_values(Some(condition.values.clone()))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        let operation = "claim an outbound message";
        let failed = match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(_) => return Ok(Claimed::Mine),
            Written::Failed(failed) => failed,
        };
        let PutItemError::ConditionalCheckFailedException(failed) = failed else {
            return Err(StoreError::Refused {
                operation,
                source: Box::new(failed),
            });
        };
        let found = failed.item().cloned().map(item::outbound::from_item);
        let found = found.transpose()?.map(|outbound| outbound.state);
        // The attempt's own claim, whose answer was lost.
        if OutboundCondition::ClaimedBy(attempt).holds(found.as_ref()) {
            return Ok(Claimed::Mine);
        }
        Ok(Claimed::Found(found.unwrap_or(OutboundState::Waiting)))
    }

    /// The record of the message in a slot to a participant, read strongly.
    pub async fn outbound_get(
        &self,
        conversation: ConversationSid,
        slot: u64,
        participant: ParticipantSid,
        deadline: Deadline,
    ) -> Result<Option<Outbound>, StoreError> {
        // The rest of a deleted message does not tell whether it had media.
        let sids = [false, true].map(|mms| outbound_sid(conversation, slot, participant, mms));
        let keys = sids.map(key::outbound).to_vec();
        let found = self.batch_get(keys, deadline).await?.into_iter().next();
        found.map(item::outbound::from_item).transpose()
    }

    /// Notes how an attempt ended. `false`: its end has been noted already.
    pub async fn outbound_note(
        &self,
        sid: CarrierMessageSid,
        attempt: &[u8; 16],
        state: &OutboundState,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let key = item::key(key::outbound(sid));
        let condition = Expression::of(OutboundCondition::ClaimedBy(*attempt));
        let mut values = condition.values;
        values.insert(":state".to_owned(), number(state_code(state)));
        let mut expression = "SET st = :state".to_owned();
        let mut also = |name: &str, value: Option<AttributeValue>| {
            if let Some(value) = value {
                expression.push_str(&format!(", {name} = :{name}"));
                values.insert(format!(":{name}"), value);
            }
        };
        match state {
            OutboundState::Sent { carrier_id } => {
                also("ci", carrier_id.clone().map(AttributeValue::S));
            }
            OutboundState::Failed { code } => also("ec", code.map(number)),
            _ => {}
        }
        let send = || {
            self.client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(&expression)
                .condition_expression(condition.text)
                .set_expression_attribute_names(condition.names.clone())
                .set_expression_attribute_values(Some(values.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = UpdateItemError::is_conditional_check_failed_exception;
        let operation = "note how an outbound message ended";
        let written = attempt::write(operation, deadline, send, decided, |_| false).await?;
        Ok(matches!(written, Written::Done(_)))
    }
}

/// A condition in DynamoDB's language.
struct Expression {
    text: &'static str,
    names: Option<HashMap<String, String>>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn of(condition: OutboundCondition) -> Expression {
        match condition {
            OutboundCondition::Claimable => Expression {
                text: "attribute_not_exists(pk) OR st = :waiting",
                names: None,
                values: HashMap::from([(":waiting".to_owned(), number(WAITING))]),
            },
            OutboundCondition::ClaimedBy(attempt) => Expression {
                text: "st = :sending AND #attempt = :attempt",
                // `at` is a reserved word.
                names: Some(HashMap::from([("#attempt".to_owned(), "at".to_owned())])),
                values: HashMap::from([
                    (":sending".to_owned(), number(SENDING)),
                    (":attempt".to_owned(), item::bytes(&attempt)),
                ]),
            },
        }
    }
}
