//! `/v1/Conversations/{ConversationSid}/Messages`: what was said.
//!
//! Text alone can be posted; media and content templates are refused until they are built. `DateCreated` and
//! `DateUpdated` are not ours to set, and ignored.

use routing::change::MessageEdit;
use routing::{Media, Message, MessageSid};
use serde_json::{Value, json};
use service::{NewPost, delete_message, edit_message, post_message};
use store::{MessageView, Order};

use crate::answer::Answer;
use crate::codes::{self, Problem};
use crate::conversations::{named, path, present};
use crate::date;
use crate::paging::{List, PageSizes, Paging};
use crate::params::Params;
use crate::participants::NAME_BYTES_MAX;
use crate::request::Request;

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};
const UNSUPPORTED: [&str; 4] = ["MediaSid", "ContentSid", "ContentVariables", "Subject"];
/// Who wrote what nobody is said to have written.
const AUTHOR: &str = "system";

pub(crate) async fn list(request: Request) -> Result<Answer, Problem> {
    let paging = Paging::read(&request.params, PAGE_SIZES)?;
    let text = request.params.given("Order")?;
    let order = match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(codes::parameter("Order", "must be asc or desc")),
    };
    let conversation = named(&request).await?;
    present(&request, conversation).await?;
    let page = request
        .app()
        .store
        .message_list(conversation, order, paging.request(), request.deadline())
        .await?;
    let rows = page.rows.iter();
    Ok(Answer::Ok(paging.list(List {
        url: request.url(&format!("{}/Messages", path(conversation))),
        filters: text.map(|text| ("Order", text)).into_iter().collect(),
        key: "messages",
        rows: rows.map(|row| body(&request, row)).collect(),
        next: page.next,
    })))
}

pub(crate) async fn create(request: Request) -> Result<Answer, Problem> {
    let wish = wish(&request.params)?;
    let post = NewPost {
        author: wish.author.unwrap_or_else(|| AUTHOR.to_owned()),
        body: wish.body.ok_or(codes::BODY_MISSING)?,
        attributes: wish.attributes.unwrap_or_else(|| "{}".to_owned()),
    };
    let conversation = named(&request).await?;
    let view = post_message(request.app(), conversation, post, request.asked).await?;
    Ok(Answer::Created(body(&request, &view)))
}

pub(crate) async fn fetch(request: Request) -> Result<Answer, Problem> {
    let sid = message_named(&request)?;
    let conversation = named(&request).await?;
    present(&request, conversation).await?;
    let store = &request.app().store;
    let found = store
        .message_get(conversation, sid, request.deadline())
        .await?;
    let view = found.and_then(|(entry, revision)| MessageView::of(&entry, revision.as_ref()));
    Ok(Answer::Ok(body(&request, &view.ok_or(codes::NOT_FOUND)?)))
}

pub(crate) async fn update(request: Request) -> Result<Answer, Problem> {
    let sid = message_named(&request)?;
    let edit = wish(&request.params)?;
    let conversation = named(&request).await?;
    let view = edit_message(request.app(), conversation, sid, edit, request.asked).await?;
    Ok(Answer::Ok(body(&request, &view)))
}

pub(crate) async fn delete(request: Request) -> Result<Answer, Problem> {
    let sid = message_named(&request)?;
    let conversation = named(&request).await?;
    delete_message(request.app(), conversation, sid, request.asked).await?;
    Ok(Answer::NoContent)
}

fn message_named(request: &Request) -> Result<MessageSid, Problem> {
    MessageSid::parse(request.segment("Sid")).ok_or(codes::NOT_FOUND)
}

/// What is asked for, on creation and later.
fn wish(params: &Params) -> Result<MessageEdit, Problem> {
    params.refuse(&UNSUPPORTED)?;
    params.dates()?;
    let (author_max, body_max) = (
        Message::AUTHOR_CHARACTERS_MAX,
        Message::BODY_REST_CHARACTERS_MAX,
    );
    let author = params.text("Author", author_max, codes::AUTHOR_TOO_LONG)?;
    let author = author.filter(|author| !author.is_empty());
    if author.as_ref().is_some_and(|a| a.len() > NAME_BYTES_MAX) {
        return Err(codes::AUTHOR_TOO_LONG);
    }
    let body = params.text("Body", body_max, codes::BODY_TOO_LONG)?;
    if body.as_ref().is_some_and(String::is_empty) {
        return Err(codes::BODY_MISSING);
    }
    Ok(MessageEdit {
        author,
        body,
        attributes: params.attributes(Message::ATTRIBUTES_BYTES_MAX)?,
    })
}

fn body(request: &Request, view: &MessageView) -> Value {
    let message = &view.message;
    let url = request.url(&format!(
        "{}/Messages/{}",
        path(view.conversation),
        view.sid
    ));
    let media = !message.media.is_empty();
    let text = (!message.body.is_empty() || !media).then_some(&message.body);
    json!({
        "sid": view.sid.to_string(),
        "account_sid": request.account().to_string(),
        "conversation_sid": view.conversation.to_string(),
        "index": message.index,
        "author": message.author,
        "participant_sid": message.participant.map(|sid| sid.to_string()),
        "body": text,
        "media": media.then(|| message.media.iter().map(medium).collect::<Vec<_>>()),
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
    })
}

/// `url` is ours: the file stays at the carrier.
fn medium(media: &Media) -> Value {
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
            let params = Params::new([(name, value)].into_iter().collect::<Form>());
            let found = wish(&params).map_err(|problem| problem.code);
            assert_eq!(found.err(), Some(code), "{name}");
        }
    }

    #[test]
    fn a_body_is_counted_in_characters_and_an_empty_author_is_none() {
        let longest = "ä".repeat(1_600);
        let pairs = [("Body", &*longest), ("Author", ""), ("Attributes", "{}")];
        let wish = wish(&Params::new(pairs.into_iter().collect::<Form>()));
        let expected = MessageEdit {
            author: None,
            body: Some(longest.clone()),
            attributes: Some("{}".to_owned()),
        };
        assert_eq!(wish.map_err(|problem| problem.code), Ok(expected));
    }
}
