//! `/v1/ParticipantConversations`: the conversations that an address or an identity takes part in, closed ones too,
//! sorted by their SIDs.

use routing::{ConversationServiceSid, ConversationSid, Participant};
use serde_json::{Value, json};
use store::View;

use crate::answer::Answer;
use crate::codes::{self, Problem};
use crate::conversations::{path, timers};
use crate::paging::{List, PageSizes, Paging};
use crate::participants::check_identity;
use crate::request::Request;
use crate::{date, phone};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 50,
};

/// A conversation that is gone is left out, so a page may be short and still have a next one.
pub(crate) async fn list(request: Request) -> Result<Answer, Problem> {
    let paging = Paging::read(&request.params, PAGE_SIZES)?;
    let (page, deadline) = (paging.request(), request.deadline());
    let store = &request.app().store;
    let identity = request.params.given("Identity")?;
    let address = request.params.given("Address")?;
    let (page, filter) = match (identity, address) {
        (Some(_), Some(_)) => return Err(codes::IDENTITY_AND_ADDRESS),
        (None, None) => {
            return Err(codes::parameter(
                "Identity",
                "is missing: give either Identity or Address",
            ));
        }
        (Some(identity), None) => {
            check_identity(identity)?;
            let service = ConversationServiceSid::DEFAULT;
            let found = store.participants_by_identity(service, identity, page, deadline);
            (found.await?, ("Identity", identity.to_owned()))
        }
        (None, Some(text)) => {
            let address = phone::address(text).ok_or(codes::ADDRESS_INVALID)?;
            let address = address.to_string();
            let found = store.participants_by_address(&address, page, deadline);
            (found.await?, ("Address", address))
        }
    };
    let mut sids: Vec<ConversationSid> = page.rows.iter().map(|row| row.conversation).collect();
    // They are sorted; an address may take part in a conversation through several proxies.
    sids.dedup();
    let views = store.conversations_get(&sids, deadline).await?;
    let rows = page.rows.iter().filter_map(|participant| {
        let sid = participant.conversation;
        let view = views
            .iter()
            .find(|view| view.metadata.conversation == sid)?;
        (!view.tail.header.terminal).then(|| body(&request, participant, view))
    });
    Ok(Answer::Ok(paging.list(List {
        url: request.url("/v1/ParticipantConversations"),
        filters: vec![(filter.0, &filter.1)],
        key: "conversations",
        rows: rows.collect(),
        next: page.next.clone(),
    })))
}

fn body(request: &Request, participant: &Participant, view: &View) -> Value {
    let (metadata, header) = (&view.metadata, &view.tail.header);
    let conversation = request.url(&path(metadata.conversation));
    let binding = participant.pair.as_ref().map(|pair| {
        json!({
            "type": pair.address().channel().as_str(),
            "address": pair.address().to_string(),
            "proxy_address": pair.proxy().to_string(),
            "projected_address": null,
            "level": null,
            "name": null,
        })
    });
    json!({
        "account_sid": request.account().to_string(),
        "chat_service_sid": metadata.service.to_string(),
        "participant_sid": participant.sid.to_string(),
        "participant_user_sid": null,
        "participant_identity": participant.identity,
        "participant_messaging_binding": binding,
        "conversation_sid": metadata.conversation.to_string(),
        "conversation_friendly_name": metadata.friendly_name,
        "conversation_unique_name": metadata.unique_name,
        "conversation_attributes": metadata.attributes,
        "conversation_state": header.state.as_str(),
        "conversation_timers": timers(view),
        "conversation_date_created": date::iso(metadata.date_created),
        "conversation_date_updated": date::iso(metadata.date_updated),
        "conversation_created_by": null,
        "links": {
            "participant": format!("{conversation}/Participants/{}", participant.sid),
            "conversation": conversation,
        },
    })
}
