//! `…/Conversations/{ConversationSid}/Messages`: the messages of a conversation.
//!
//! A message by REST is text alone: the API refuses media and content templates, which Crosspoint does not have yet. It
//! accepts `DateCreated` and `DateUpdated` and ignores them: Crosspoint alone sets these dates.

use routing::change::message::{MessageEdit, NewMessage};
use routing::{Media, Message, MessageSid};
use serde_json::{Value, json};
use service::{delete_message, edit_message, post_message};
use store::{MessageView, Order};

use crate::codes;
use crate::conversations::{check_exists, conversation_of};
use crate::date;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::participants::NAME_BYTES_MAX;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};
const UNSUPPORTED: [&str; 4] = ["MediaSid", "ContentSid", "ContentVariables", "Subject"];
/// The author of a message that names none.
const AUTHOR: &str = "system";

pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    let text = request.parameters.non_empty("Order")?;
    let order = match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(codes::parameter("Order", "must be asc or desc")),
    };
    let conversation = conversation_of(&request).await?;
    check_exists(&request, conversation).await?;
    let page = request
        .app()
        .store
        .message_list(conversation, order, paging.request(), request.deadline())
        .await?;
    let json_of = |row: &MessageView| Some(message_json(&request, row));
    Ok(Success::Ok(paging.list(List {
        url: format!("{}/Messages", request.conversation_url(conversation)),
        filters: text.map(|text| ("Order", text)).into_iter().collect(),
        key: "messages",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let wish = edit_of(&request.parameters)?;
    let post = NewMessage {
        author: wish.author.unwrap_or_else(|| AUTHOR.to_owned()),
        body: wish.body.ok_or(codes::BODY_MISSING)?,
        attributes: wish.attributes.unwrap_or_else(|| "{}".to_owned()),
    };
    let conversation = conversation_of(&request).await?;
    let view = post_message(request.app(), conversation, post, request.asked).await?;
    Ok(Success::Created(message_json(&request, &view)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let sid = message_sid_of(&request)?;
    let conversation = conversation_of(&request).await?;
    check_exists(&request, conversation).await?;
    let store = &request.app().store;
    let found = store
        .message_get(conversation, sid, request.deadline())
        .await?;
    let view = found.and_then(|(entry, revision)| MessageView::of(&entry, revision.as_ref()));
    let view = view.ok_or(codes::NOT_FOUND)?;
    Ok(Success::Ok(message_json(&request, &view)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let sid = message_sid_of(&request)?;
    let edit = edit_of(&request.parameters)?;
    let conversation = conversation_of(&request).await?;
    let view = edit_message(request.app(), conversation, sid, edit, request.asked).await?;
    Ok(Success::Ok(message_json(&request, &view)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let sid = message_sid_of(&request)?;
    let conversation = conversation_of(&request).await?;
    delete_message(request.app(), conversation, sid, request.asked).await?;
    Ok(Success::NoContent)
}

fn message_sid_of(request: &Request) -> Result<MessageSid, Problem> {
    MessageSid::parse(request.segment("Sid")).ok_or(codes::NOT_FOUND)
}

/// What a request gives, to post a message or to edit it.
fn edit_of(parameters: &Parameters) -> Result<MessageEdit, Problem> {
    parameters.refuse_unsupported(&UNSUPPORTED)?;
    parameters.check_dates()?;
    let (author_max, body_max) = (
        Message::AUTHOR_CHARACTERS_MAX,
        Message::BODY_REST_CHARACTERS_MAX,
    );
    let author = parameters.text("Author", author_max, codes::AUTHOR_TOO_LONG)?;
    let author = author.filter(|author| !author.is_empty());
    if author.as_ref().is_some_and(|a| a.len() > NAME_BYTES_MAX) {
        return Err(codes::AUTHOR_TOO_LONG);
    }
    let body = parameters.text("Body", body_max, codes::BODY_TOO_LONG)?;
    if body.as_ref().is_some_and(String::is_empty) {
        return Err(codes::BODY_MISSING);
    }
    Ok(MessageEdit {
        author,
        body,
        attributes: parameters.attributes(Message::ATTRIBUTES_BYTES_MAX)?,
    })
}

fn message_json(request: &Request, view: &MessageView) -> Value {
    let message = &view.message;
    let conversation = request.conversation_url(view.conversation);
    let url = format!("{conversation}/Messages/{}", view.sid);
    let media = !message.media.is_empty();
    let text = (!message.body.is_empty() || !media).then_some(&message.body);
    let body = json!({
        "sid": view.sid.to_string(),
        "account_sid": request.account().to_string(),
        "conversation_sid": view.conversation.to_string(),
        "index": message.index,
        "author": message.author,
        "participant_sid": message.participant.map(|sid| sid.to_string()),
        "body": text,
        "media": media.then(|| message.media.iter().map(medium_json).collect::<Vec<_>>()),
        "attributes": message.attributes,
        "delivery": null,
        "content_sid": null,
        "date_created": date::iso(view.date_created),
        "date_updated": date::iso(view.date_updated),
        "url": url,
        "links": {
            "delivery_receipts": format!("{url}/Receipts"),
            "channel_metadata": format!("{url}/ChannelMetadata"),
        },
    });
    request.with_service(body)
}

/// `url` is Crosspoint's own property: the file stays at the carrier.
fn medium_json(media: &Media) -> Value {
    json!({
        "sid": media.sid.to_string(),
        "size": media.size,
        "content_type": media.content_type,
        "filename": null,
        "url": media.url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    #[test]
    fn every_wrong_parameter_has_its_code() {
        let long = "ä".repeat(1_601);
        let author = "a".repeat(257);
        let wide = "\u{1f4a1}".repeat(256);
        for (name, value, code) in [
            ("Body", &*long, 50504),
            ("Body", "", 50503),
            ("Author", &author, 50310),
            ("Author", &wide, 50310),
            ("Attributes", "x", 50304),
            ("MediaSid", "ME1", 20001),
            ("ContentSid", "HX1", 20001),
            ("ContentVariables", "{}", 20001),
            ("Subject", "s", 20001),
        ] {
            let parameters = Parameters::new([(name, value)].into_iter().collect::<Form>());
            let found = edit_of(&parameters).map_err(|problem| problem.code);
            assert_eq!(found.err(), Some(code), "{name}");
        }
    }

    #[test]
    fn a_body_is_counted_in_characters_and_an_empty_author_is_none() {
        let longest = "ä".repeat(1_600);
        let pairs = [("Body", &*longest), ("Author", ""), ("Attributes", "{}")];
        let edit = edit_of(&Parameters::new(pairs.into_iter().collect::<Form>()));
        let expected = MessageEdit {
            author: None,
            body: Some(longest.clone()),
            attributes: Some("{}".to_owned()),
        };
        assert_eq!(edit.map_err(|problem| problem.code), Ok(expected));
    }
}
