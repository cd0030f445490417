//! Records of what we send: claimed before the carrier is called, noted on after it has answered.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use routing::{CarrierMessageSid, ConversationSid, Outbound, OutboundState, ParticipantSid};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::number;
use crate::item::outbound::{SENDING, WAITING, state_code};
use crate::key::outbound_sid;
use crate::{Store, item, key};

/// Whose it is to call the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The attempt's that asked.
    Mine,
    /// Nobody's, for now or for ever: this is how far it has come.
    Found(OutboundState),
}

impl Store {
    /// Claims a message for an attempt, which `outbound.state` says: if nobody has it yet, or if it waits for another
    /// attempt.
    pub async fn outbound_claim(
        &self,
        outbound: &Outbound,
        deadline: Deadline,
    ) -> Result<Claimed, StoreError> {
        let OutboundState::Sending { attempt, .. } = outbound.state else {
            return Ok(Claimed::Found(outbound.state.clone()));
        };
        let item = item::outbound::to_item(outbound)?;
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(pk) OR st = :waiting")
                .expression_attribute_values(":waiting", number(WAITING))
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
        Ok(match found.transpose()?.map(|outbound| outbound.state) {
            // Our own claim, whose answer was lost.
            Some(OutboundState::Sending { attempt: there, .. }) if there == attempt => {
                Claimed::Mine
            }
            Some(state) => Claimed::Found(state),
            None => Claimed::Found(OutboundState::Waiting),
        })
    }

    /// The record of the message in a slot to a participant, read strongly.
    pub async fn outbound_get(
        &self,
        conversation: ConversationSid,
        slot: u64,
        participant: ParticipantSid,
        deadline: Deadline,
    ) -> Result<Option<Outbound>, StoreError> {
        // What is left of a deleted message does not tell whether it had media.
        let sids = [false, true].map(|mms| outbound_sid(conversation, slot, participant, mms));
        let keys = sids.map(key::outbound).to_vec();
        let found = self.batch_get(keys, deadline).await?.into_iter().next();
        found.map(item::outbound::from_item).transpose()
    }

    /// Notes how an attempt ended. `false`: that has been noted already.
    pub async fn outbound_note(
        &self,
        sid: CarrierMessageSid,
        attempt: &[u8; 16],
        state: &OutboundState,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let key = item::key(key::outbound(sid));
        let mut values = HashMap::from([
            (":state".to_owned(), number(state_code(state))),
            (":sending".to_owned(), number(SENDING)),
            (":attempt".to_owned(), item::bytes(attempt)),
        ]);
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
                // `at` is a reserved word.
                .condition_expression("st = :sending AND #attempt = :attempt")
                .expression_attribute_names("#attempt", "at")
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
