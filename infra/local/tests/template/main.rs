//! What `infra/template.yaml` deploys is what the local stack makes and what the functions are written for.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod alarms;
mod dispatch_function;
mod doors;
mod table;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use carriers::Form;
use carriers::webhook::signature;
use dispatch::{doorbell, handle};
use inbound::Door;
use local::engine::Engine;
use regex_lite::Regex;
use routing::{
    ConversationSid, DELIVERY_TIME_MAX, Outcome, RUN_TIME_MAX, SWEEP_DISTANCE, Unreadable,
};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};
use service::dispatch::{HandOff, HandOffError};
use service::{Allowed, App, Config, RECEIVE_TIME};
use store::table::{
    GSI1, GSI2, INDEX_PROJECTION, PARTITION_KEY, SORT_KEY, STREAM_VIEW, TTL_ATTRIBUTE,
};
use store::{Deadline, Store, engine_config};

fn template() -> Yaml<'static> {
    let text = include_str!("../../../template.yaml");
    Yaml::load_from_str(text).unwrap().remove(0)
}

fn at<'a>(node: &'a Yaml<'static>, path: &str) -> &'a Yaml<'static> {
    path.split('.').fold(node, |node, name| {
        node.as_mapping_get(name)
            .unwrap_or_else(|| panic!("the template has no {name} of {path}"))
    })
}

fn text<'a>(node: &'a Yaml<'static>, path: &str) -> &'a str {
    let value = at(node, path);
    value
        .as_str()
        .unwrap_or_else(|| panic!("{path} is no text: {value:?}"))
}

fn list<'a>(node: &'a Yaml<'static>, path: &str) -> &'a [Yaml<'static>] {
    let value = at(node, path);
    value
        .as_sequence()
        .unwrap_or_else(|| panic!("{path} is no list: {value:?}"))
}

fn seconds(node: &Yaml<'static>, path: &str) -> Duration {
    let seconds = at(node, path).as_integer().unwrap();
    Duration::from_secs(seconds.try_into().unwrap())
}

fn time_out(template: &Yaml<'static>, function: &str) -> Duration {
    seconds(
        template,
        &format!("Resources.{function}.Properties.Timeout"),
    )
}

/// The parameters, resources and conditions that a node refers to.
fn references(node: &Yaml<'static>, found: &mut BTreeSet<String>) {
    let parts: Vec<_> = match node {
        Yaml::Tagged(tag, inner) => {
            match (tag.suffix.as_str(), &**inner) {
                ("Ref", name) => found.extend(name.as_str().map(str::to_owned)),
                ("GetAtt", path) => found.extend(path.as_str().map(first_name)),
                ("Sub", text) => {
                    let text = text.as_sequence_get(0).unwrap_or(text).as_str().unwrap();
                    let names = text.split("${").skip(1);
                    found.extend(names.map(|rest| first_name(rest.split('}').next().unwrap())));
                }
                ("If", choice) => {
                    let condition = choice.as_sequence_get(0).and_then(Yaml::as_str);
                    found.extend(condition.map(str::to_owned));
                }
                _ => {}
            }
            vec![&**inner]
        }
        Yaml::Sequence(parts) => parts.iter().collect(),
        Yaml::Mapping(parts) => parts.values().collect(),
        _ => return,
    };
    for part in parts {
        references(part, found);
    }
    let dependency = node.as_mapping_get("DependsOn").and_then(Yaml::as_str);
    found.extend(dependency.map(str::to_owned));
}

fn first_name(path: &str) -> String {
    path.split('.').next().unwrap_or(path).to_owned()
}

/// `sam validate --lint` does not look for them in functions.
#[test]
fn every_reference_names_something_in_the_template() {
    let template = template();
    let mut found = BTreeSet::new();
    references(&template, &mut found);
    for name in [
        "AccountSid",
        "Table",
        "InboundRole",
        "DispatchHandOff",
        "HasTwilio",
        "InboundIntegration",
    ] {
        assert!(
            found.contains(name),
            "{name} is referred to, and was not found"
        );
    }
    // What a !Sub brings with it.
    found.remove("Url");
    found.remove("Arn");
    found.retain(|name| !name.starts_with("AWS::"));
    for name in found {
        let known = ["Parameters", "Conditions", "Resources"]
            .iter()
            .any(|section| at(&template, section).contains_mapping_key(&name));
        assert!(known, "the template has no {name}");
    }
}

#[test]
fn an_allow_list_that_the_template_takes_is_one_that_the_functions_take() {
    let template = template();
    let pattern = text(&template, "Parameters.CallAllow.AllowedPattern");
    let pattern = Regex::new(pattern).unwrap();
    for (list, allowed) in [
        ("", true),
        ("10.0.0.0/8", true),
        ("10.0.0.0/32", true),
        ("192.168.7.7", true),
        ("::1", true),
        ("fd00:1::/128", true),
        ("::ffff:10.0.0.0/104", true),
        ("10.0.0.0/8,192.168.7.7,::1", true),
        ("10.0.0.0/33", false),
        ("fd00::/129", false),
        ("10.0.0", false),
        ("10", false),
        ("localhost", false),
        ("10.0.0.0/8;::1", false),
        ("10.0.0.0/8::1", false),
    ] {
        assert_eq!(pattern.is_match(list), allowed, "{list}");
        assert_eq!(list.parse::<Allowed>().is_ok(), allowed, "{list}");
    }
}

/// For a stand-in of Twilio. A deployed function calls Twilio itself.
const LOCAL_ONLY: &str = "CROSSPOINT_TWILIO_API_URL";

/// The prefix of the variables that only inbound and dispatch need.
const TWILIO: &str = "CROSSPOINT_TWILIO_";

#[test]
fn the_deployed_functions_have_every_variable_that_they_need_and_no_other() {
    let read = RefCell::new(Vec::new());
    let nothing_is_set = Config::read(|name| {
        read.borrow_mut().push(name.to_owned());
        None
    });
    assert!(nothing_is_set.is_err());
    let mut read = read.into_inner();
    read.sort();
    assert!(read.iter().any(|name| name == LOCAL_ONLY));
    read.retain(|name| name != LOCAL_ONLY);

    let template = template();
    let variables = |node: &Yaml<'static>| -> Vec<String> {
        let environment = node.as_mapping_get("Environment");
        let variables = environment.map(|node| at(node, "Variables").as_mapping().unwrap());
        let names = variables.into_iter().flat_map(|variables| variables.keys());
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let shared = variables(at(&template, "Globals.Function"));
    for (function, twilio) in [("Inbound", true), ("Admin", false), ("Dispatch", true)] {
        let own = variables(at(&template, &format!("Resources.{function}.Properties")));
        let mut set = [shared.clone(), own].concat();
        set.sort();
        let needed = read
            .iter()
            .filter(|name| twilio || !name.starts_with(TWILIO));
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            needed.collect::<Vec<_>>(),
            "{function}"
        );
    }
}
