//! `/crosspoint/v1/Bindings`: which conversation holds a pair now. Twilio has no such resource.
//!
//! A conversation past its closing time holds nothing, though its timer has not fired yet.

use routing::{Address, Key};
use serde_json::{Value, json};
use store::{BindingFilter, BindingView};

use crate::codes;
use crate::date;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::participants::pair_of;
use crate::phone;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};
const ADDRESS: &str = "Address";
const PROXY: &str = "ProxyAddress";

/// The list leaves out pairs that are free by now, so a page may be short and still have a next one.
pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let parameters = &request.parameters;
    let paging = Paging::from_parameters(parameters, PAGE_SIZES)?;
    let (address, proxy) = (parameters.non_empty(ADDRESS)?, parameters.non_empty(PROXY)?);
    let filter = match (address, proxy) {
        (Some(address), Some(proxy)) => BindingFilter::Pair(pair_of(address, proxy)?),
        (Some(address), None) => BindingFilter::Address(one(address, codes::ADDRESS_INVALID)?),
        (None, Some(proxy)) => BindingFilter::Proxy(one(proxy, codes::PROXY_INVALID)?),
        (None, None) => {
            let reason = "is missing: give Address, ProxyAddress or both";
            return Err(codes::parameter(ADDRESS, reason));
        }
    };
    let store = &request.app().store;
    let page = store
        .binding_list(&filter, paging.request(), request.deadline())
        .await?;
    let now = request.app().clock.now();
    let json_of = |view: &BindingView| {
        let header = &view.tail.as_ref()?.header;
        let holds = header.holds(&Key::Pair(view.pair.clone())).is_some() && !header.expired(now);
        holds.then(|| binding_json(&request, view))
    };
    let filters = [(ADDRESS, address), (PROXY, proxy)];
    Ok(Success::Ok(
        paging.list(List {
            url: request.url("/crosspoint/v1/Bindings"),
            filters: filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            key: "bindings",
            fitting: Fitting::of(&page, json_of),
        }),
    ))
}

fn one(text: &str, invalid: Problem) -> Result<Address, Problem> {
    let address = phone::address(text).filter(Address::can_receive);
    address.ok_or(invalid)
}

fn binding_json(request: &Request, view: &BindingView) -> Value {
    let BindingView { pair, binding, .. } = view;
    let service = request.url(&format!("/v1/Services/{}", binding.service));
    let conversation = format!("{service}/Conversations/{}", binding.conversation);
    json!({
        "account_sid": request.account().to_string(),
        "address": pair.address().to_string(),
        "proxy_address": pair.proxy().to_string(),
        "conversation_sid": binding.conversation.to_string(),
        "participant_sid": binding.participant.to_string(),
        "chat_service_sid": binding.service.to_string(),
        "since": date::iso(binding.since),
        "links": {
            "conversation": conversation,
            "participant": format!("{conversation}/Participants/{}", binding.participant),
        },
    })
}
