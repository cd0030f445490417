//! What `infra/template.yaml` deploys is what the local stack makes and what the functions are written for.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use routing::JournalOutcome;
use saphyr::{LoadableYamlNode, Yaml};
use service::{Config, RECEIVE_TIME};
use store::table::{
    GSI1, GSI2, INDEX_PROJECTION, PARTITION_KEY, SORT_KEY, STREAM_VIEW, TTL_ATTRIBUTE,
};

/// An HTTP API waits no longer for a function.
const GATEWAY_TIME: Duration = Duration::from_secs(30);

fn template() -> Yaml<'static> {
    let text = include_str!("../../template.yaml");
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

/// The names and kinds of keys, of a table or an index.
fn keys<'a>(node: &'a Yaml<'static>) -> Vec<(&'a str, &'a str)> {
    let key = |key| (text(key, "AttributeName"), text(key, "KeyType"));
    list(node, "KeySchema").iter().map(key).collect()
}

fn time_out(template: &Yaml<'static>, function: &str) -> Duration {
    let path = format!("Resources.{function}.Properties.Timeout");
    let seconds = at(template, &path).as_integer().unwrap();
    Duration::from_secs(seconds.try_into().unwrap())
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
    found.retain(|name| !name.starts_with("AWS::"));
    for name in found {
        let known = ["Parameters", "Conditions", "Resources"]
            .iter()
            .any(|section| at(&template, section).contains_mapping_key(&name));
        assert!(known, "the template has no {name}");
    }
}

#[test]
fn the_deployed_table_has_the_shape_of_the_local_one() {
    let template = template();
    let table = at(&template, "Resources.Table.Properties");

    assert_eq!(keys(table), [(PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE")]);
    let indexes = list(table, "GlobalSecondaryIndexes");
    assert_eq!(indexes.len(), 2);
    for (deployed, index) in indexes.iter().zip([GSI1, GSI2]) {
        assert_eq!(text(deployed, "IndexName"), index.name);
        let expected = [(index.partition_key, "HASH"), (index.sort_key, "RANGE")];
        assert_eq!(keys(deployed), expected, "{}", index.name);
        let projection = text(deployed, "Projection.ProjectionType");
        assert_eq!(projection, INDEX_PROJECTION.as_str(), "{}", index.name);
    }
    let attributes = list(table, "AttributeDefinitions").iter();
    let attributes: Vec<_> = attributes
        .map(|each| (text(each, "AttributeName"), text(each, "AttributeType")))
        .collect();
    let expected = [
        PARTITION_KEY,
        SORT_KEY,
        GSI1.partition_key,
        GSI1.sort_key,
        GSI2.partition_key,
        GSI2.sort_key,
    ];
    assert_eq!(attributes, expected.map(|name| (name, "S")));
    assert_eq!(text(table, "BillingMode"), "PAY_PER_REQUEST");
    let stream_view = text(table, "StreamSpecification.StreamViewType");
    assert_eq!(stream_view, STREAM_VIEW.as_str());
    let ttl = at(table, "TimeToLiveSpecification");
    assert_eq!(text(ttl, "AttributeName"), TTL_ATTRIBUTE);
    assert_eq!(at(ttl, "Enabled").as_bool(), Some(true));
}

#[test]
fn a_deployed_message_is_answered_before_its_time_is_up() {
    let template = template();
    assert!(RECEIVE_TIME < time_out(&template, "Inbound"));
    for function in ["Inbound", "Admin"] {
        assert!(time_out(&template, function) < GATEWAY_TIME, "{function}");
    }
}

#[test]
fn the_deployed_functions_are_told_every_variable_and_no_other() {
    let read = RefCell::new(Vec::new());
    let nothing_is_set = Config::read(|name| {
        read.borrow_mut().push(name.to_owned());
        None
    });
    assert!(nothing_is_set.is_err());
    let mut read = read.into_inner();
    read.sort();

    let template = template();
    let variables = at(&template, "Globals.Function.Environment.Variables");
    let mut set: Vec<_> = variables.as_mapping().unwrap().keys().collect();
    set.sort();
    let set: Vec<_> = set.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(set, read);
    for function in ["Inbound", "Admin"] {
        let properties = at(&template, &format!("Resources.{function}.Properties"));
        let own = properties.as_mapping_get("Environment");
        assert_eq!(own, None, "{function} has variables of its own");
    }
}

#[test]
fn the_alarm_hears_of_unroutable_messages() {
    let template = template();
    let counted = at(&template, "Resources.MessageCount.Properties");
    let [metric] = list(counted, "MetricTransformations") else {
        panic!("the filter makes one metric");
    };
    let [dimension] = list(metric, "Dimensions") else {
        panic!("the metric has one dimension");
    };
    let alarm = at(&template, "Resources.UnroutableAlarm.Properties");
    let [watched] = list(alarm, "Dimensions") else {
        panic!("the alarm watches one of them");
    };
    assert_eq!(text(alarm, "Namespace"), text(metric, "MetricNamespace"));
    assert_eq!(at(alarm, "MetricName"), at(metric, "MetricName"));
    assert_eq!(text(watched, "Name"), text(dimension, "Key"));
    assert_eq!(text(watched, "Value"), JournalOutcome::Unroutable.as_str());
}
