//! `/v1/Configuration/Addresses`: what happens to a message to one of the account's addresses if no conversation holds
//! its pair. In a path, an address names its configuration as the SID does.

use routing::{
    Address, AddressConfiguration, AddressConfigurationSid, AutoCreation, AutoCreationKind,
    Channel, ConversationServiceSid, Metadata,
};
use serde_json::{Value, json};
use service::{
    ChangeError, create_address_configuration, delete_address_configuration,
    update_address_configuration,
};

use crate::auto_creation::{AutoCreationWish, auto_creation_json};
use crate::codes;
use crate::named_services::check_service_exists;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::{date, phone};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 50,
};

/// With `Type`, a page may be short, and even empty, and still have a next one.
pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    let text = request.parameters.non_empty("Type")?;
    let channel = text.map(channel).transpose()?;
    let store = &request.app().store;
    let page = store
        .address_configuration_list(paging.request(), request.deadline())
        .await?;
    let default = request.service().await?;
    let json_of = |configuration: &AddressConfiguration| {
        let listed = channel.is_none_or(|channel| configuration.address.channel() == channel);
        listed.then(|| configuration_json(&request, configuration, default))
    };
    Ok(Success::Ok(paging.list(List {
        url: request.url("/v1/Configuration/Addresses"),
        filters: text.map(|text| ("Type", text)).into_iter().collect(),
        key: "address_configurations",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let parameters = &request.parameters;
    let missing = |name| move || codes::parameter(name, "is required");
    let channel = channel(parameters.non_empty("Type")?.ok_or_else(missing("Type"))?)?;
    let address = parameters
        .non_empty("Address")?
        .ok_or_else(missing("Address"))?;
    let address = phone::address(address).filter(|address| address.can_receive());
    let address = address.ok_or(codes::ADDRESS_INVALID)?;
    if address.channel() != channel {
        return Err(codes::parameter("Type", "is not the channel of Address"));
    }
    let country = country(parameters, &address)?;
    let friendly_name = friendly_name(parameters)?.flatten();
    let wish = AutoCreationWish::from_parameters(parameters)?;
    let auto_creation = wish.merge(&AutoCreation {
        enabled: false,
        service: None,
        kind: AutoCreationKind::Default,
    })?;
    check_service_exists(&request, wish.service()).await?;
    let configuration = create_address_configuration(
        request.app(),
        address,
        friendly_name,
        country,
        auto_creation,
        request.deadline(),
    );
    let configuration = configuration.await?;
    let default = request.service().await?;
    let body = configuration_json(&request, &configuration, default);
    Ok(Success::Created(body))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let named = NamedConfiguration::of(&request)?;
    let configuration = named.get(&request).await?;
    let default = request.service().await?;
    let body = configuration_json(&request, &configuration, default);
    Ok(Success::Ok(body))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let named = NamedConfiguration::of(&request)?;
    let friendly_name = friendly_name(&request.parameters)?;
    let wish = AutoCreationWish::from_parameters(&request.parameters)?;
    // This read finds the faults of the wish; the update reads again.
    wish.merge(&named.get(&request).await?.auto_creation)?;
    check_service_exists(&request, wish.service()).await?;
    let edit = |before: AddressConfiguration| {
        // The wish fitted a moment ago: another request changed the configuration since.
        let merged = wish.merge(&before.auto_creation);
        Ok(AddressConfiguration {
            auto_creation: merged.map_err(|_| ChangeError::Contended)?,
            friendly_name: friendly_name
                .clone()
                .unwrap_or_else(|| before.friendly_name.clone()),
            ..before
        })
    };
    let select = |found: &AddressConfiguration| named.is(found);
    let deadline = request.deadline();
    let updated =
        update_address_configuration(request.app(), &named.address, select, edit, deadline).await?;
    let default = request.service().await?;
    Ok(Success::Ok(configuration_json(&request, &updated, default)))
}

pub(crate) async fn delete(request: Request) -> Result<Success, Problem> {
    let named = NamedConfiguration::of(&request)?;
    let select = |found: &AddressConfiguration| named.is(found);
    let deadline = request.deadline();
    delete_address_configuration(request.app(), &named.address, select, deadline).await?;
    Ok(Success::NoContent)
}

/// The configuration that a path names: that of an address, and with this SID if the path gives a SID.
struct NamedConfiguration {
    address: Address,
    sid: Option<AddressConfigurationSid>,
}

impl NamedConfiguration {
    fn of(request: &Request) -> Result<NamedConfiguration, Problem> {
        let text = request.segment("Sid");
        let sid = AddressConfigurationSid::parse(text);
        let address = match sid {
            Some(sid) => sid.address(),
            None => phone::address(text),
        };
        let address = address.ok_or(codes::NOT_FOUND)?;
        Ok(NamedConfiguration { address, sid })
    }

    fn is(&self, found: &AddressConfiguration) -> bool {
        self.sid.is_none_or(|sid| sid == found.sid)
    }

    async fn get(&self, request: &Request) -> Result<AddressConfiguration, Problem> {
        let store = &request.app().store;
        let receiver = store
            .receiver_get(&self.address, request.deadline())
            .await?;
        let found = receiver.configuration.filter(|found| self.is(found));
        found.ok_or(codes::NOT_FOUND)
    }
}

fn channel(text: &str) -> Result<Channel, Problem> {
    [Channel::Sms, Channel::WhatsApp]
        .into_iter()
        .find(|channel| channel.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            codes::parameter("Type", "must be sms or whatsapp; no other is supported yet")
        })
}

/// `Some(None)`: the parameter is empty, which removes the name.
fn friendly_name(parameters: &Parameters) -> Result<Option<Option<String>>, Problem> {
    let max = Metadata::NAME_CHARACTERS_MAX;
    let name = parameters.text("FriendlyName", max, codes::FRIENDLY_NAME_TOO_LONG)?;
    Ok(name.map(|name| Some(name).filter(|name| !name.is_empty())))
}

/// For short codes alone: two countries can use the same short code.
fn country(parameters: &Parameters, address: &Address) -> Result<Option<String>, Problem> {
    const NAME: &str = "AddressCountry";
    match parameters.non_empty(NAME)? {
        None => Ok(None),
        Some(_) if address.is_e164() => Err(codes::parameter(NAME, "is for short codes alone")),
        Some(code) if code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()) => {
            Ok(Some(code.to_ascii_uppercase()))
        }
        Some(_) => Err(codes::parameter(NAME, "must be two letters (ISO 3166-1)")),
    }
}

/// `default`: the account's default service.
fn configuration_json(
    request: &Request,
    configuration: &AddressConfiguration,
    default: ConversationServiceSid,
) -> Value {
    let sid = configuration.sid.to_string();
    json!({
        "account_sid": request.account().to_string(),
        "type": configuration.address.channel().as_str(),
        "address": configuration.address.to_string(),
        "friendly_name": configuration.friendly_name,
        "address_country": configuration.country,
        "auto_creation": auto_creation_json(&configuration.auto_creation, default),
        "date_created": date::iso(configuration.date_created),
        "date_updated": date::iso(configuration.date_updated),
        "url": request.url(&format!("/v1/Configuration/Addresses/{sid}")),
        "sid": sid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    #[test]
    fn a_country_is_for_short_codes() {
        let of = |address: &str, code: &str| {
            let parameters =
                Parameters::new([("AddressCountry", code)].into_iter().collect::<Form>());
            country(&parameters, &address.parse().unwrap()).map_err(|problem| problem.code)
        };
        assert_eq!(of("12345", "us"), Ok(Some("US".to_owned())));
        assert_eq!(of("12345", ""), Ok(None));
        assert_eq!(of("12345", "USA"), Err(20001));
        assert_eq!(of("12345", "1A"), Err(20001));
        assert_eq!(of("+15550001111", "US"), Err(20001));
    }
}
