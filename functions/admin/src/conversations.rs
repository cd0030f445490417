//! `…/Conversations`: the conversations of a service. In a path, a conversation's unique name names it as
//! its SID does.
//!
//! The API accepts `DateCreated` and `DateUpdated` and ignores them: Crosspoint alone sets these dates.

use jiff::Timestamp;
use routing::change::conversation::{ConversationEdit, NewConversation};
use routing::{ConversationSid, MessagingServiceSid, Metadata, State, Tail, Timers};
use serde_json::{Map, Value, json};
use service::{create_conversation, delete_conversation, update_conversation};
use store::{ConversationFilter, ListKind, View};

use crate::codes;
use crate::date;
use crate::named_services::{check_messaging_service_exists, messaging_service};
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};
/// Crosspoint has no e-mail channel.
const UNSUPPORTED: [&str; 2] = ["Bindings.Email.Address", "Bindings.Email.Name"];

pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let parameters = &request.parameters;
    let paging = Paging::from_parameters(parameters, PAGE_SIZES)?;
    let start = parameters.non_empty("StartDate")?;
    let end = parameters.non_empty("EndDate")?;
    let state = parameters.non_empty("State")?;
    let filter = ConversationFilter {
        state: state
            .map(|text| State::parse(text).ok_or(codes::STATE_INVALID))
            .transpose()?,
        created_from: listed_date("StartDate", start, date::from)?,
        created_before: listed_date("EndDate", end, date::before)?,
    };
    paging.request().check(ListKind::Conversations)?;
    let page = request
        .app()
        .store
        .conversation_list(
            request.service().await?,
            filter,
            paging.request(),
            request.deadline(),
        )
        .await?;
    let filters = [("StartDate", start), ("EndDate", end), ("State", state)];
    let json_of = |view: &View| {
        let deleted = view.tail.header.terminal;
        (!deleted).then(|| conversation_json(&request, view))
    };
    Ok(Success::Ok(
        paging.list(List {
            url: request.service_url("/Conversations"),
            filters: filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            key: "conversations",
            fitting: Fitting::of(&page, json_of),
        }),
    ))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let wish = ConversationWish::from_parameters(&request.parameters)?;
    check_messaging_service_exists(&request, wish.messaging_service).await?;
    let new = NewConversation {
        messaging_service: wish.messaging_service,
        friendly_name: wish.friendly_name.filter(|name| !name.is_empty()),
        unique_name: wish.unique_name,
        attributes: wish.attributes.unwrap_or_else(|| "{}".to_owned()),
        state: wish.state.unwrap_or(State::Active),
        inactive_s: wish.inactive_s,
        closed_s: wish.closed_s,
    };
    let view = create_conversation(request.app(), new, request.asked).await?;
    Ok(Success::Created(conversation_json(&request, &view)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let sid = conversation_of(&request).await?;
    let store = &request.app().store;
    let view = async { Ok(store.conversation_get(sid, request.deadline()).await?) };
    let (service, view) = tokio::try_join!(request.service(), view)?;
    let view = view.filter(|view| view.metadata.service == service);
    let view = view.ok_or(codes::NOT_FOUND)?;
    Ok(Success::Ok(conversation_json(&request, &view)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let wish = ConversationWish::from_parameters(&request.parameters)?;
    check_messaging_service_exists(&request, wish.messaging_service).await?;
    let edit = ConversationEdit {
        messaging_service: wish.messaging_service,
        friendly_name: wish.friendly_name,
        unique_name: wish.unique_name,
        attributes: wish.attributes,
        state: wish.state,
        inactive_s: wish.inactive_s,
        closed_s: wish.closed_s,
    };
    let sid = conversation_of(&request).await?;
    let view = update_conversation(request.app(), sid, edit, request.asked).await?;
    Ok(Success::Ok(conversation_json(&request, &view)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let sid = conversation_of(&request).await?;
    delete_conversation(request.app(), sid, request.asked).await?;
    Ok(Success::NoContent)
}

/// The conversation that the path names by its SID or its unique name. With a SID, the conversation may not exist.
pub(crate) async fn conversation_of(request: &Request) -> Result<ConversationSid, Problem> {
    let text = request.segment("ConversationSid");
    if let Some(sid) = ConversationSid::parse(text) {
        return Ok(sid);
    }
    if text.chars().count() > Metadata::NAME_CHARACTERS_MAX {
        return Err(codes::NOT_FOUND);
    }
    let store = &request.app().store;
    let service = request.service().await?;
    let sid = store.name_get(service, text, request.deadline()).await?;
    sid.ok_or(codes::NOT_FOUND)
}

/// Refuses a conversation that does not exist or is deleted.
pub(crate) async fn check_exists(request: &Request, sid: ConversationSid) -> Result<(), Problem> {
    let store = &request.app().store;
    let tail = async { Ok(store.tail_get(sid, request.deadline()).await?) };
    let (service, tail) = tokio::try_join!(request.service(), tail)?;
    let visible = |tail: Tail| !tail.header.terminal && tail.header.service == service;
    match tail.is_some_and(visible) {
        true => Ok(()),
        false => Err(codes::NOT_FOUND),
    }
}

/// When the conversation becomes inactive, and when it closes; without timers, `{}`.
pub(crate) fn timers_json(view: &View) -> Value {
    let (inactive, closed) = view.dates();
    let dates = [("date_inactive", inactive), ("date_closed", closed)];
    let dates: Map<String, Value> = dates
        .into_iter()
        .filter_map(|(name, at)| Some((name.to_owned(), date::iso(at?).into())))
        .collect();
    dates.into()
}

/// What a request gives, to create a conversation or to update it; `None` leaves a property as it is.
struct ConversationWish {
    messaging_service: Option<MessagingServiceSid>,
    friendly_name: Option<String>,
    unique_name: Option<String>,
    attributes: Option<String>,
    state: Option<State>,
    inactive_s: Option<u64>,
    closed_s: Option<u64>,
}

impl ConversationWish {
    fn from_parameters(parameters: &Parameters) -> Result<ConversationWish, Problem> {
        parameters.refuse_unsupported(&UNSUPPORTED)?;
        parameters.check_dates()?;
        Ok(ConversationWish {
            messaging_service: messaging_service(parameters.single("MessagingServiceSid")?)?,
            friendly_name: parameters.text(
                "FriendlyName",
                Metadata::NAME_CHARACTERS_MAX,
                codes::FRIENDLY_NAME_TOO_LONG,
            )?,
            unique_name: unique_name(parameters)?,
            attributes: parameters.attributes(Metadata::ATTRIBUTES_BYTES_MAX)?,
            state: match parameters.single("State")? {
                Some("") => return Err(codes::STATE_EMPTY),
                text => text
                    .map(|text| State::parse(text).ok_or(codes::STATE_INVALID))
                    .transpose()?,
            },
            inactive_s: parameters.timer(
                "Timers.Inactive",
                Timers::INACTIVE_S_MIN,
                codes::INACTIVE_TIMER,
                codes::INACTIVE_TIMER_SHORT,
            )?,
            closed_s: parameters.timer(
                "Timers.Closed",
                Timers::CLOSED_S_MIN,
                codes::CLOSED_TIMER,
                codes::CLOSED_TIMER_SHORT,
            )?,
        })
    }
}

/// `None`: the name is absent or empty.
fn unique_name(parameters: &Parameters) -> Result<Option<String>, Problem> {
    let max = Metadata::NAME_CHARACTERS_MAX;
    let name = parameters.text("UniqueName", max, codes::UNIQUE_NAME_TOO_LONG)?;
    let name = name.filter(|name| !name.is_empty());
    let is_sid = |name: &String| ConversationSid::parse(name).is_some();
    match name.as_ref().is_some_and(is_sid) {
        true => Err(codes::UNIQUE_NAME_IS_SID),
        false => Ok(name),
    }
}

/// The date of a filter, at the latest [`LISTED_MAX`].
fn listed_date(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<Timestamp>,
) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let at = read(text).ok_or_else(|| {
        let reason = "must be a date (2026-01-31), with or without a time (T00:00:00Z)";
        codes::parameter(name, reason)
    })?;
    Ok(Some(at.min(LISTED_MAX)))
}

/// In the year 2286: the last millisecond with 13 digits. The store orders its lists by 13 digits.
const LISTED_MAX: Timestamp = Timestamp::constant(9_999_999_999, 999_000_000);

fn conversation_json(request: &Request, view: &View) -> Value {
    let (metadata, header) = (&view.metadata, &view.tail.header);
    let url = request.conversation_url(metadata.conversation);
    json!({
        "sid": metadata.conversation.to_string(),
        "account_sid": request.account().to_string(),
        "chat_service_sid": metadata.service.to_string(),
        "messaging_service_sid": header.messaging_service.to_string(),
        "friendly_name": metadata.friendly_name,
        "unique_name": metadata.unique_name,
        "attributes": metadata.attributes,
        "state": header.state.as_str(),
        "date_created": date::iso(metadata.date_created),
        "date_updated": date::iso(metadata.date_updated),
        "timers": timers_json(view),
        "bindings": {},
        "url": url,
        "links": {
            "participants": format!("{url}/Participants"),
            "messages": format!("{url}/Messages"),
            "webhooks": format!("{url}/Webhooks"),
            "export": format!("{url}/Export"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    fn wish_of(body: &str) -> Result<ConversationWish, Problem> {
        ConversationWish::from_parameters(&Parameters::new(Form::parse(body.as_bytes()).unwrap()))
    }

    #[test]
    fn every_wrong_parameter_has_its_code() {
        let sid = format!("UniqueName=CH{}", "a".repeat(32));
        let long = |name: &str, count| format!("{name}={}", "a".repeat(count));
        let large = format!("Attributes={{\"a\":\"{}\"}}", "a".repeat(16 * 1024));
        for (body, code) in [
            (&*long("FriendlyName", 257), 50003),
            (&*long("UniqueName", 257), 50004),
            (&*sid, 50390),
            ("Attributes=x", 50304),
            (&*large, 50303),
            ("State=", 50374),
            ("State=open", 50378),
            ("Timers.Inactive=PT59S", 50375),
            ("Timers.Closed=PT599S", 50376),
            ("Timers.Inactive=soon", 50379),
            ("Timers.Closed=P1M", 50380),
            ("MessagingServiceSid=x", 50341),
            ("Bindings.Email.Address=a%40example.com", 20001),
            ("FriendlyName=a&FriendlyName=b", 20001),
        ] {
            assert_eq!(wish_of(body).err().map(|p| p.code), Some(code), "{body}");
        }
    }

    #[test]
    fn every_right_parameter_is_read() {
        let service = MessagingServiceSid::DEFAULT;
        let body = format!(
            "FriendlyName=F&UniqueName=U&Attributes={{}}&State=InActive&Timers.Inactive=PT1M&Timers.Closed=PT0S\
             &MessagingServiceSid={service}&DateCreated=2015-12-16T22:18:37Z&Unknown=x"
        );
        let wish = wish_of(&body).map_err(|p| p.code).unwrap();
        assert_eq!(wish.friendly_name.as_deref(), Some("F"));
        assert_eq!(wish.unique_name.as_deref(), Some("U"));
        assert_eq!(wish.attributes.as_deref(), Some("{}"));
        assert_eq!(wish.state, Some(State::Inactive));
        assert_eq!((wish.inactive_s, wish.closed_s), (Some(60), Some(0)));
    }

    #[test]
    fn a_list_has_no_bound_beyond_its_order() {
        let bound = |text| listed_date("EndDate", Some(text), date::before).map_err(|p| p.code);
        assert_eq!(bound("9999-12-31"), Ok(Some(LISTED_MAX)));
        assert_eq!(bound("tomorrow"), Err(20001));
    }
}
