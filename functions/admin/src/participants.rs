//! `…/Conversations/{ConversationSid}/Participants`: the participants of a conversation. In a path, a participant's
//! identity names it as its SID does.
//!
//! A participant has an identity, or an address with a proxy address. The API accepts `RoleSid`, `DateCreated` and
//! `DateUpdated` and ignores them: there are no roles, and Crosspoint alone sets these dates.

use routing::change::participant::{NewParticipant, ParticipantEdit};
use routing::{ConversationSid, Pair, PairError, Participant, ParticipantSid, Refusal};
use serde_json::{Value, json};
use service::{ChangeError, add_participant, remove_participant, update_participant};

use crate::codes;
use crate::conversations::{check_exists, conversation_of};
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::{date, phone};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};
/// A sort key of DynamoDB has at most 1,024 bytes, and a key holds more than the name.
pub(crate) const NAME_BYTES_MAX: usize = 1_000;

const IDENTITY: &str = "Identity";
const ADDRESS: &str = "MessagingBinding.Address";
const PROXY: &str = "MessagingBinding.ProxyAddress";
/// For group conversations.
const PROJECTED: &str = "MessagingBinding.ProjectedAddress";

pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    let conversation = conversation_of(&request).await?;
    check_exists(&request, conversation).await?;
    let page = request
        .app()
        .store
        .participant_list(conversation, paging.request(), request.deadline())
        .await?;
    let json_of = |row: &Participant| Some(participant_json(&request, row));
    Ok(Success::Ok(paging.list(List {
        url: format!("{}/Participants", request.conversation_url(conversation)),
        filters: Vec::new(),
        key: "participants",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let wish = wish_of(&request.parameters)?;
    let channel = wish.pair.as_ref().map(|pair| pair.proxy().channel());
    let conversation = conversation_of(&request).await?;
    let participant = add_participant(request.app(), conversation, wish, request.asked).await;
    let participant = participant.map_err(|error| match (error, channel) {
        (ChangeError::Refused(Refusal::ProxyIsNotOurs), Some(channel)) => {
            codes::proxy_not_ours(channel)
        }
        (error, _) => error.into(),
    })?;
    Ok(Success::Created(participant_json(&request, &participant)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let conversation = conversation_of(&request).await?;
    let sid = participant_of(&request, conversation).await?;
    check_exists(&request, conversation).await?;
    let store = &request.app().store;
    let participant = store
        .participant_get(conversation, sid, request.deadline())
        .await?;
    let participant = participant.ok_or(codes::NOT_FOUND)?;
    Ok(Success::Ok(participant_json(&request, &participant)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let edit = edit_of(&request.parameters)?;
    let conversation = conversation_of(&request).await?;
    let sid = participant_of(&request, conversation).await?;
    let participant =
        update_participant(request.app(), conversation, sid, edit, request.asked).await?;
    Ok(Success::Ok(participant_json(&request, &participant)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let conversation = conversation_of(&request).await?;
    let sid = participant_of(&request, conversation).await?;
    remove_participant(request.app(), conversation, sid, request.asked).await?;
    Ok(Success::NoContent)
}

/// The participant that the path names by its SID or its identity. With a SID, the participant may not exist.
async fn participant_of(
    request: &Request,
    conversation: ConversationSid,
) -> Result<ParticipantSid, Problem> {
    let text = request.segment("Sid");
    if let Some(sid) = ParticipantSid::parse(text) {
        return Ok(sid);
    }
    check_identity(text).map_err(|_| codes::NOT_FOUND)?;
    let store = &request.app().store;
    let sid = store
        .identity_get(conversation, text, request.deadline())
        .await?;
    sid.ok_or(codes::NOT_FOUND)
}

pub(crate) fn check_identity(text: &str) -> Result<(), Problem> {
    let fits = text.chars().count() <= Participant::IDENTITY_CHARACTERS_MAX
        && text.len() <= NAME_BYTES_MAX;
    match fits {
        true => Ok(()),
        false => Err(codes::IDENTITY_TOO_LONG),
    }
}

fn wish_of(parameters: &Parameters) -> Result<NewParticipant, Problem> {
    parameters.check_dates()?;
    if parameters.non_empty(PROJECTED)?.is_some() {
        let reason = "belongs to group conversations, which are not supported yet";
        return Err(codes::parameter(PROJECTED, reason));
    }
    let identity = parameters.non_empty(IDENTITY)?;
    let bound = parameters.non_empty(ADDRESS)?.is_some() || parameters.non_empty(PROXY)?.is_some();
    let pair = match (parameters.single(ADDRESS)?, parameters.single(PROXY)?) {
        _ if identity.is_some() && bound => return Err(codes::IDENTITY_WITH_BINDING),
        _ if identity.is_some() => None,
        (None, None) => return Err(codes::PARTICIPANT_EMPTY),
        (None | Some(""), _) => return Err(codes::ADDRESS_EMPTY),
        (_, None | Some("")) => return Err(codes::PROXY_EMPTY),
        (Some(address), Some(proxy)) => Some(pair_of(address, proxy)?),
    };
    identity.map_or(Ok(()), check_identity)?;
    Ok(NewParticipant {
        identity: identity.map(str::to_owned),
        pair,
        attributes: parameters
            .attributes(Participant::ATTRIBUTES_BYTES_MAX)?
            .unwrap_or_else(|| "{}".to_owned()),
    })
}

pub(crate) fn pair_of(address: &str, proxy: &str) -> Result<Pair, Problem> {
    let address = phone::address(address).filter(|address| address.can_receive());
    let address = address.ok_or(codes::ADDRESS_INVALID)?;
    let proxy = phone::address(proxy).filter(|proxy| proxy.can_receive());
    let proxy = proxy.ok_or(codes::PROXY_INVALID)?;
    Pair::new(address, proxy).map_err(|error| match error {
        PairError::Channels => codes::CHANNELS_DIFFER,
        PairError::Same => codes::SAME_ADDRESSES,
    })
}

fn edit_of(parameters: &Parameters) -> Result<ParticipantEdit, Problem> {
    parameters.refuse_unsupported(&[IDENTITY, PROJECTED])?;
    parameters.check_dates()?;
    let index = |text: &str| text.parse::<u64>().ok().filter(|index| *index <= INDEX_MAX);
    let proxy = match parameters.single(PROXY)? {
        None => None,
        Some("") => return Err(codes::PROXY_EMPTY),
        Some(text) => {
            let proxy = phone::address(text).filter(|proxy| proxy.can_receive());
            Some(proxy.ok_or(codes::PROXY_INVALID)?)
        }
    };
    Ok(ParticipantEdit {
        proxy,
        attributes: parameters.attributes(Participant::ATTRIBUTES_BYTES_MAX)?,
        last_read_index: parameters.choice(
            "LastReadMessageIndex",
            index,
            codes::LAST_READ_INDEX,
        )?,
        last_read_at: parameters.choice(
            "LastReadTimestamp",
            date::instant,
            codes::LAST_READ_TIMESTAMP,
        )?,
    })
}

/// The largest integer that every JSON reader keeps exactly: 2^53 - 1.
const INDEX_MAX: u64 = (1 << 53) - 1;

fn participant_json(request: &Request, participant: &Participant) -> Value {
    let conversation = request.conversation_url(participant.conversation);
    let binding = participant.pair.as_ref().map(|pair| {
        json!({
            "type": pair.address().channel().as_str(),
            "address": pair.address().to_string(),
            "proxy_address": pair.proxy().to_string(),
        })
    });
    let body = json!({
        "sid": participant.sid.to_string(),
        "account_sid": request.account().to_string(),
        "conversation_sid": participant.conversation.to_string(),
        "identity": participant.identity,
        "attributes": participant.attributes,
        "messaging_binding": binding,
        "role_sid": null,
        "last_read_message_index": participant.last_read_index,
        "last_read_timestamp": participant.last_read_at.map(date::iso),
        "date_created": date::iso(participant.date_created),
        "date_updated": date::iso(participant.date_updated),
        "url": format!("{conversation}/Participants/{}", participant.sid),
    });
    request.with_service(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::new(pairs.iter().copied().collect::<Form>())
    }

    #[test]
    fn every_wrong_shape_has_its_code() {
        let (us, them) = ("+15550009999", "+15550001111");
        let long = "a".repeat(257);
        let wide = "\u{1f4a1}".repeat(256);
        let table: &[(&[(&str, &str)], u32)] = &[
            (&[], 50204),
            (&[(IDENTITY, "")], 50204),
            (&[(IDENTITY, "ada"), (ADDRESS, them)], 50211),
            (&[(IDENTITY, "ada"), (PROXY, us)], 50211),
            (&[(IDENTITY, &long)], 50207),
            (&[(IDENTITY, &wide)], 50207),
            (&[(ADDRESS, ""), (PROXY, us)], 50411),
            (&[(PROXY, us)], 50411),
            (&[(ADDRESS, them)], 50412),
            (&[(ADDRESS, them), (PROXY, "")], 50412),
            (&[(ADDRESS, "nobody knows"), (PROXY, us)], 50407),
            (&[(ADDRESS, &long), (PROXY, us)], 50407),
            (&[(ADDRESS, "ACME"), (PROXY, us)], 50407),
            (&[(ADDRESS, them), (PROXY, "messenger:1")], 50408),
            (&[(ADDRESS, us), (PROXY, us)], 50409),
            (&[(ADDRESS, us), (PROXY, "+1 (555) 000-9999")], 50409),
            (&[(ADDRESS, "whatsapp:+15550001111"), (PROXY, us)], 50414),
            (&[(PROJECTED, us)], 20001),
            (&[(IDENTITY, "ada"), (PROJECTED, us)], 20001),
            (&[(IDENTITY, "ada"), ("Attributes", "[]")], 50304),
        ];
        for (pairs, code) in table {
            let found = wish_of(&parameters(pairs)).map_err(|problem| problem.code);
            assert_eq!(found.err(), Some(*code), "{pairs:?}");
        }
    }

    #[test]
    fn a_participant_has_an_identity_or_a_pair() {
        let ada = wish_of(&parameters(&[
            (IDENTITY, "ada"),
            ("RoleSid", "RL1"),
            (ADDRESS, ""),
        ]));
        let ada = ada.map_err(|problem| problem.code).unwrap();
        assert_eq!((ada.identity.as_deref(), ada.pair), (Some("ada"), None));
        assert_eq!(ada.attributes, "{}");
        let typed = [(ADDRESS, "+1 (555) 000-1111"), (PROXY, "+15550009999")];
        let typed = wish_of(&parameters(&typed)).map_err(|problem| problem.code);
        let pair = typed.unwrap().pair.unwrap();
        assert_eq!(pair.address().to_string(), "+15550001111");
    }

    #[test]
    fn an_edit_takes_what_can_change_and_refuses_the_rest() {
        let read = [("LastReadMessageIndex", "0"), ("RoleSid", "RL1")];
        let read = edit_of(&parameters(&read)).map_err(|problem| problem.code);
        assert_eq!(read.unwrap().last_read_index, Some(0));
        for (name, value, code) in [
            ("LastReadMessageIndex", "-1", 50421),
            ("LastReadMessageIndex", "null", 50421),
            ("LastReadMessageIndex", "9007199254740992", 50421),
            ("LastReadTimestamp", "now", 50405),
            (IDENTITY, "ada", 20001),
            (PROXY, "null", 50408),
            (PROXY, "", 50412),
        ] {
            let found = edit_of(&parameters(&[(name, value)])).map_err(|problem| problem.code);
            assert_eq!(found.err(), Some(code), "{name} {value}");
        }
    }
}
