//! `…/ParticipantConversations`: the conversations of an address or an identity, also closed ones, sorted by SID.

use routing::{ConversationSid, Participant};
use serde_json::{Value, json};
use store::View;

use crate::codes;
use crate::conversations::timers_json;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::participants::check_identity;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::{date, phone};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 50,
};

/// The list leaves out deleted conversations and those of other services, so a page may be short and still have a next one.
pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    let (page, deadline) = (paging.request(), request.deadline());
    let store = &request.app().store;
    let service = request.service().await?;
    let identity = request.parameters.non_empty("Identity")?;
    let address = request.parameters.non_empty("Address")?;
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
    // The rows are sorted. An address may take part in one conversation through several proxy addresses.
    sids.dedup();
    let views = store.conversations_get(&sids, deadline).await?;
    let json_of = |participant: &Participant| {
        let mut views = views.iter();
        let view = views.find(|view| view.metadata.conversation == participant.conversation)?;
        let visible = !view.tail.header.terminal && view.metadata.service == service;
        visible.then(|| participation_json(&request, participant, view))
    };
    Ok(Success::Ok(paging.list(List {
        url: request.service_url("/ParticipantConversations"),
        filters: vec![(filter.0, &filter.1)],
        key: "conversations",
        fitting: Fitting::of(&page, json_of),
    })))
}

fn participation_json(request: &Request, participant: &Participant, view: &View) -> Value {
    let (metadata, header) = (&view.metadata, &view.tail.header);
    let conversation = request.conversation_url(metadata.conversation);
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
        "conversation_timers": timers_json(view),
        "conversation_date_created": date::iso(metadata.date_created),
        "conversation_date_updated": date::iso(metadata.date_updated),
        "conversation_created_by": null,
        "links": {
            "participant": format!("{conversation}/Participants/{}", participant.sid),
            "conversation": conversation,
        },
    })
}
