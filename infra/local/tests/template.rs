//! What `infra/template.yaml` deploys is what the local stack makes and what the functions are written for.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

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

/// A slash at its end would stand twice in the URL that carriers call and sign.
#[test]
fn a_public_url_is_https_without_query_and_without_a_slash_at_its_end() {
    let template = template();
    let pattern = text(&template, "Parameters.PublicUrl.AllowedPattern");
    let pattern = Regex::new(pattern).unwrap();
    for (url, allowed) in [
        ("", true),
        ("https://example.com", true),
        ("https://example.com/key", true),
        ("https://example.com/key/more", true),
        ("https://example.com/", false),
        ("https://example.com/key/", false),
        ("https://example.com/key//", false),
        ("https://", false),
        ("https:///", false),
        ("https:///x", false),
        ("https://example.com?a", false),
        ("https://example.com#a", false),
        ("https://u:p@example.com", false),
        ("http://example.com", false),
        ("example.com", false),
    ] {
        assert_eq!(pattern.is_match(url), allowed, "{url}");
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

/// Where failures are slow, Twilio sends a message that is lost only twice.
#[test]
fn one_failed_message_is_an_alarm() {
    let alarm = template();
    let alarm = at(&alarm, "Resources.InboundFailedAlarm.Properties");
    assert_eq!(at(alarm, "Threshold").as_integer(), Some(1));
    assert_eq!(
        text(alarm, "ComparisonOperator"),
        "GreaterThanOrEqualToThreshold"
    );
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

/// The nodes that name the table of the stack, without the first branch of an `!If [MakesTable, …]`.
fn unconditional_names_of_the_table(node: &Yaml<'static>, path: &str, found: &mut Vec<String>) {
    let name = |text: &Yaml<'static>| text.as_str().map(first_name);
    match node {
        Yaml::Tagged(tag, inner) => match (tag.suffix.as_str(), &**inner) {
            ("If", choice) => {
                let branches = choice.as_sequence().unwrap();
                let made = branches[0].as_str() == Some("MakesTable");
                if made {
                    let mut other = BTreeSet::new();
                    references(&branches[2], &mut other);
                    let expected = ["ExistingTableStream".to_owned()];
                    assert_eq!(other, expected.into(), "{path}");
                }
                for branch in &branches[if made { 2 } else { 1 }..] {
                    unconditional_names_of_the_table(branch, path, found);
                }
            }
            ("Ref" | "GetAtt", text) if name(text).as_deref() == Some("Table") => {
                found.push(path.to_owned());
            }
            ("Sub", text) => {
                let text = text.as_sequence_get(0).unwrap_or(text).as_str().unwrap();
                if text.contains("${Table}") || text.contains("${Table.") {
                    found.push(path.to_owned());
                }
                unconditional_names_of_the_table(inner, path, found);
            }
            _ => unconditional_names_of_the_table(inner, path, found),
        },
        Yaml::Sequence(parts) => {
            for part in parts {
                unconditional_names_of_the_table(part, path, found);
            }
        }
        Yaml::Mapping(parts) => {
            for (key, part) in parts {
                let key = key.as_str().unwrap_or_default();
                unconditional_names_of_the_table(part, &format!("{path}.{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_stack_with_an_existing_table_makes_none_and_names_the_existing_one_everywhere() {
    let template = template();
    assert_eq!(text(&template, "Resources.Table.Condition"), "MakesTable");
    let mut found = Vec::new();
    unconditional_names_of_the_table(&template, "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_public_door_has_limits_that_are_tighter_for_the_api_than_for_carriers() {
    let template = template();
    let stage = at(&template, "Resources.Stage.Properties");
    let route_key = text(&template, "Resources.InboundRoute.Properties.RouteKey");
    let routes = at(stage, "RouteSettings").as_mapping().unwrap();
    let names: Vec<_> = routes.keys().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(names, [route_key]);
    let inbound = at(stage, "RouteSettings")
        .as_mapping_get(route_key)
        .unwrap();
    let others = at(stage, "DefaultRouteSettings");
    let default_of = |settings: &Yaml<'static>, limit: &str| {
        let mut parameter = BTreeSet::new();
        references(at(settings, limit), &mut parameter);
        let parameter = parameter.pop_first().unwrap();
        let value = at(&template, &format!("Parameters.{parameter}.Default"));
        value.as_integer().unwrap()
    };
    for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
        assert!(
            default_of(others, limit) < default_of(inbound, limit),
            "{limit}"
        );
    }
    let dependency = text(&template, "Resources.Stage.DependsOn");
    assert_eq!(dependency, "InboundRoute");
}

#[test]
fn the_access_log_has_neither_addresses_nor_texts() {
    let template = template();
    let settings = at(&template, "Resources.Stage.Properties.AccessLogSettings");
    let format = text(settings, "Format");
    assert!(!format.contains('\n'), "one line a request");
    let Value::Object(line) = serde_json::from_str(format).unwrap() else {
        panic!("a line is an object: {format}");
    };
    // A path, a query, a header or an error's text can hold an address, a name or a secret.
    let harmless = [
        "$context.requestId",
        "$context.requestTimeEpoch",
        "$context.identity.sourceIp",
        "$context.httpMethod",
        "$context.routeKey",
        "$context.status",
        "$context.responseLength",
        "$context.responseLatency",
        "$context.error.responseType",
        "$context.integration.integrationStatus",
        "$context.integration.requestId",
    ];
    for (name, value) in &line {
        assert!(harmless.contains(&value.as_str().unwrap()), "{name}");
    }
    // The filter of InboundLimitCount reads these two.
    assert_eq!(line["status"], "$context.status");
    assert_eq!(line["route"], "$context.routeKey");

    let mut log = BTreeSet::new();
    references(at(settings, "DestinationArn"), &mut log);
    assert_eq!(log, ["AccessLog".to_owned()].into());
    let log = at(&template, "Resources.AccessLog.Properties");
    let mut retention = BTreeSet::new();
    references(at(log, "RetentionInDays"), &mut retention);
    assert_eq!(retention, ["LogRetentionDays".to_owned()].into());
}

#[test]
fn a_deployed_message_is_answered_before_its_time_is_up() {
    let template = template();
    assert!(RECEIVE_TIME < time_out(&template, "Inbound"));
    for function in ["Inbound", "Admin"] {
        assert!(time_out(&template, function) < GATEWAY_TIME, "{function}");
    }
}

/// What a run leaves to the sweep must not be under way any more when the sweep comes by.
#[test]
fn a_deployed_run_ends_in_time_and_before_the_sweep_comes_by() {
    let time_out = time_out(&template(), "Dispatch");
    assert!(RUN_TIME_MAX + DELIVERY_TIME_MAX < time_out);
    assert!(time_out < SWEEP_DISTANCE);
}

#[test]
fn an_invocation_of_dispatch_is_tried_a_few_times_and_then_left_to_the_sweep() {
    let template = template();
    for (way_in, age) in [
        ("DispatchStream", "MaximumRecordAgeInSeconds"),
        ("DispatchAsynchronously", "MaximumEventAgeInSeconds"),
    ] {
        let properties = at(&template, &format!("Resources.{way_in}.Properties"));
        assert_eq!(seconds(properties, age), SWEEP_DISTANCE, "{way_in}");
        let tries = at(properties, "MaximumRetryAttempts").as_integer();
        assert!(
            tries.is_some_and(|tries| (0..=5).contains(&tries)),
            "{way_in}"
        );
        let mut failures = BTreeSet::new();
        references(at(properties, "DestinationConfig.OnFailure"), &mut failures);
        assert_eq!(failures, ["DispatchFailures".to_owned()].into(), "{way_in}");
    }
    let stream = at(&template, "Resources.DispatchStream.Properties");
    let [answers] = list(stream, "FunctionResponseTypes") else {
        panic!("the mapping reads one kind of answer");
    };
    assert_eq!(answers.as_str(), Some("ReportBatchItemFailures"));
    assert_eq!(
        at(stream, "BisectBatchOnFunctionError").as_bool(),
        Some(true)
    );
    assert_eq!(text(stream, "StartingPosition"), "TRIM_HORIZON");
}

/// Whether Lambda's filter lets a record through: of its rules, those that the template uses.
fn passes(pattern: &Value, record: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, pattern)| passes(pattern, &record[name])),
        Value::Array(rules) => rules.iter().any(|rule| match rule {
            Value::Object(rule) => {
                let prefix = rule["prefix"].as_str().unwrap();
                assert_eq!(rule.len(), 1, "a rule that this test does not know");
                record.as_str().is_some_and(|text| text.starts_with(prefix))
            }
            exact => exact == record,
        }),
        other => panic!("a pattern ends in a list, not in {other}"),
    }
}

#[test]
fn the_filter_lets_every_ring_through() {
    let template = template();
    let [filter] = list(
        &template,
        "Resources.DispatchStream.Properties.FilterCriteria.Filters",
    ) else {
        panic!("the mapping has one filter");
    };
    let pattern: Value = serde_json::from_str(text(filter, "Pattern")).unwrap();

    let conversation = format!("C#CH{}", "7".repeat(32));
    let check = |event: &str, pk: &str, sk: &str, rings: bool, passed: bool| {
        let record = json!({
            "eventName": event,
            "dynamodb": {
                "Keys": {PARTITION_KEY: {"S": pk}, SORT_KEY: {"S": sk}},
                "SequenceNumber": "1",
                "StreamViewType": STREAM_VIEW.as_str()
            }
        });
        let rung = !doorbell::rings(std::slice::from_ref(&record)).is_empty();
        assert_eq!(rung, rings, "{record}");
        assert_eq!(passes(&pattern, &record), passed, "{record}");
        assert!(passed || !rings, "{record} rings, and never gets there");
    };
    for (sk, rings, passed) in [
        ("L#0000000000#E", true, true),
        ("L#0000000007#E", true, true),
        ("L#9999999999#E", true, true),
        // An edited message: let through, and passed over.
        ("L#0000000007#C", false, true),
        ("M", false, false),
        ("KP", false, false),
        ("KR", false, false),
        ("T", false, false),
        ("P#MB77777777777777777777777777777777", false, false),
        ("I#L#0000000007#E", false, false),
    ] {
        check("INSERT", &conversation, sk, rings, passed);
        check("MODIFY", &conversation, sk, false, false);
        check("REMOVE", &conversation, sk, false, false);
    }
    let binding = ("B#+15550001111", "+15550002222");
    check("INSERT", binding.0, binding.1, false, false);
    let journal = (
        "J#SM77777777777777777777777777777777",
        "twilio#AC#+15550002222",
    );
    check("INSERT", journal.0, journal.1, false, false);
}

/// A hand-off that must not happen: nothing is due in an empty table.
struct NoHandOff;

impl HandOff for NoHandOff {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        panic!("{conversations:?} were handed off");
    }
}

#[tokio::test]
async fn the_function_understands_the_event_of_the_deployed_clock() {
    let template = template();
    let clock = at(&template, "Resources.Clock.Properties");
    assert_eq!(text(clock, "ScheduleExpression"), "rate(1 minute)");
    let [target] = list(clock, "Targets") else {
        panic!("the clock has one target");
    };
    let mut invoked = BTreeSet::new();
    references(at(target, "Arn"), &mut invoked);
    assert_eq!(invoked, ["Dispatch".to_owned()].into());

    let engine = Engine::in_memory().unwrap().serve().await.unwrap();
    let client = Store::client(engine_config(engine.endpoint_url()));
    let store = Store::new(client, "crosspoint");
    store
        .create_table(Deadline::after(Duration::from_secs(10)))
        .await
        .unwrap();
    let config = Config::read(|name| match name {
        "CROSSPOINT_ACCOUNT_SID" => Some(format!("AC{}", "0".repeat(32))),
        "CROSSPOINT_AUTH_TOKEN" => Some("token".to_owned()),
        "CROSSPOINT_PUBLIC_URL" => Some("https://crosspoint.example".to_owned()),
        "CROSSPOINT_TABLE" => Some("crosspoint".to_owned()),
        _ => None,
    });
    let app = App::new(store, &config.unwrap());
    let event = serde_json::from_str(text(target, "Input")).unwrap();
    let answer = handle(&app, &NoHandOff, event).await.unwrap();
    assert_eq!(answer, Value::Null);
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

#[test]
fn every_counted_line_has_an_alarm() {
    let template = template();
    // What the lines say is held where they are written.
    for (count, log, alarm, pattern) in [
        (
            "MessageCount",
            "InboundLog",
            "UnroutableAlarm",
            r#"{ $.fields.outcome = "*" }"#,
        ),
        (
            "MessageCount",
            "InboundLog",
            "UnreadableAlarm",
            r#"{ $.fields.outcome = "*" }"#,
        ),
        (
            "InboundRefusedCount",
            "InboundLog",
            "InboundRefusedAlarm",
            r#"{ $.fields.refused = "signature" }"#,
        ),
        (
            "InboundFailedCount",
            "InboundLog",
            "InboundFailedAlarm",
            r#"{ $.fields.response_status >= 500 }"#,
        ),
        (
            "InboundLimitCount",
            "AccessLog",
            "InboundLimitAlarm",
            r#"{ $.status = "429" && $.route = "*/inbound/*" }"#,
        ),
        (
            "OutboundUnknownCount",
            "DispatchLog",
            "OutboundUnknownAlarm",
            r#"{ $.fields.outbound = "unknown" }"#,
        ),
        (
            "ForwardPendingCount",
            "DispatchLog",
            "ForwardPendingAlarm",
            r#"{ $.fields.forward = "pending" }"#,
        ),
        (
            "DispatchErrorCount",
            "DispatchLog",
            "DispatchErrorAlarm",
            r#"{ $.level = "ERROR" }"#,
        ),
    ] {
        let counted = at(&template, &format!("Resources.{count}.Properties"));
        assert_eq!(text(counted, "FilterPattern"), pattern, "{count}");
        let mut logs = BTreeSet::new();
        references(at(counted, "LogGroupName"), &mut logs);
        assert_eq!(logs, [log.to_owned()].into(), "{count}");
        let [metric] = list(counted, "MetricTransformations") else {
            panic!("{count} makes one metric");
        };
        let watch = at(&template, &format!("Resources.{alarm}.Properties"));
        assert_eq!(
            text(watch, "Namespace"),
            text(metric, "MetricNamespace"),
            "{alarm}"
        );
        assert_eq!(at(watch, "MetricName"), at(metric, "MetricName"), "{alarm}");
        let dimensions = |node: &Yaml<'static>, name| -> Vec<String> {
            let dimensions = node
                .as_mapping_get("Dimensions")
                .and_then(Yaml::as_sequence);
            let dimensions = dimensions.into_iter().flatten();
            dimensions.map(|each| text(each, name).to_owned()).collect()
        };
        assert_eq!(
            dimensions(watch, "Name"),
            dimensions(metric, "Key"),
            "{alarm}"
        );
        let outcome = match alarm {
            "UnroutableAlarm" => Some(Outcome::Unroutable.as_str()),
            "UnreadableAlarm" => Some(Unreadable::OUTCOME),
            _ => None,
        };
        let outcome: Vec<_> = outcome.into_iter().collect();
        assert_eq!(dimensions(watch, "Value"), outcome, "{alarm}");
    }
}

#[test]
fn lambda_itself_counts_the_failures_that_inbound_cannot() {
    let template = template();
    for (alarm, metric) in [
        ("InboundErrorAlarm", "Errors"),
        ("InboundThrottleAlarm", "Throttles"),
    ] {
        let watch = at(&template, &format!("Resources.{alarm}.Properties"));
        assert_eq!(text(watch, "Namespace"), "AWS/Lambda", "{alarm}");
        assert_eq!(text(watch, "MetricName"), metric, "{alarm}");
        let [function] = list(watch, "Dimensions") else {
            panic!("{alarm} watches one function");
        };
        assert_eq!(text(function, "Name"), "FunctionName", "{alarm}");
        let mut watched = BTreeSet::new();
        references(at(function, "Value"), &mut watched);
        assert_eq!(watched, ["Inbound".to_owned()].into(), "{alarm}");
    }
}

/// Every alarm tells a person something, and the README tells the person what to do.
#[test]
fn the_readme_has_a_row_for_every_alarm() {
    let readme = include_str!("../../../README.md");
    let template = template();
    let resources = at(&template, "Resources").as_mapping().unwrap();
    let mut alarms = 0;
    for (name, resource) in resources {
        if text(resource, "Type") == "AWS::CloudWatch::Alarm" {
            let name = name.as_str().unwrap();
            assert!(readme.contains(&format!("| `{name}` | ")), "{name}");
            alarms += 1;
        }
    }
    assert!(alarms >= 9, "{alarms}");
}

/// Whether a metric filter counts a log line: of CloudWatch's patterns, those that the template uses.
fn counts(pattern: &str, line: &Value) -> bool {
    let comparison = pattern
        .strip_prefix("{ $.")
        .unwrap()
        .strip_suffix(" }")
        .unwrap();
    let [path, operator, value] = comparison.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("a pattern that this test does not know: {pattern}");
    };
    let found = path.split('.').fold(line, |found, name| &found[name]);
    let value: Value = serde_json::from_str(value).unwrap();
    match (operator, &value) {
        ("=", Value::String(any)) if any == "*" => !found.is_null(),
        ("=", exact) => found == exact,
        (">=", Value::Number(least)) => found
            .as_f64()
            .is_some_and(|found| found >= least.as_f64().unwrap()),
        _ => panic!("a pattern that this test does not know: {pattern}"),
    }
}

/// A writer that keeps what Lambda's JSON formatter prints.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines since the last call.
    fn take(&self) -> Vec<Value> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

const TWILIO_ACCOUNT: &str = "AC11111111111111111111111111111111";

/// A request at Twilio's door, signed or not.
fn twilio(form: &[(&str, &str)], token: &str) -> http::Request<Bytes> {
    let url = "https://crosspoint.example/inbound/twilio";
    let body: Form = form.iter().copied().collect();
    http::Request::post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header(
            "X-Twilio-Signature",
            signature::sign(token, url, form.iter().copied()),
        )
        .body(Bytes::from(body.encode()))
        .unwrap()
}

#[tokio::test]
async fn the_filters_count_the_lines_that_inbound_writes() {
    let engine = Engine::in_memory().unwrap().serve().await.unwrap();
    let store = |name: &str| {
        let client = Store::client(engine_config(engine.endpoint_url()));
        Store::new(client, name)
    };
    let deadline = Deadline::after(Duration::from_secs(10));
    store("crosspoint").create_table(deadline).await.unwrap();
    let config = Config::read(|name| match name {
        "CROSSPOINT_ACCOUNT_SID" => Some(format!("AC{}", "0".repeat(32))),
        "CROSSPOINT_AUTH_TOKEN" => Some("token".to_owned()),
        "CROSSPOINT_PUBLIC_URL" => Some("https://crosspoint.example".to_owned()),
        "CROSSPOINT_TABLE" => Some("crosspoint".to_owned()),
        "CROSSPOINT_TWILIO_ACCOUNT_SID" => Some(TWILIO_ACCOUNT.to_owned()),
        "CROSSPOINT_TWILIO_AUTH_TOKEN" => Some("twiliotoken".to_owned()),
        _ => None,
    })
    .unwrap();
    let door = |table: &str| Door {
        app: App::new(store(table), &config),
        receivers: config.receivers(),
    };
    let (good, without_table) = (door("crosspoint"), door("no-such-table"));

    let template = template();
    let pattern = |count: &str| {
        let filter = at(&template, &format!("Resources.{count}.Properties"));
        text(filter, "FilterPattern").to_owned()
    };
    let filters = ["MessageCount", "InboundRefusedCount", "InboundFailedCount"];
    let patterns = filters.map(pattern);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_target(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let sid = format!("SM{}", "7".repeat(32));
    let message = [
        ("MessageSid", sid.as_str()),
        ("AccountSid", TWILIO_ACCOUNT),
        ("From", "+15550001111"),
        ("To", "+15550002222"),
        ("Body", "hello"),
    ];
    let mut unreadable = message;
    unreadable[2].1 = "rcs:acme";
    let mut stranger = message;
    stranger[1].1 = "AC22222222222222222222222222222222";
    let right = "twiliotoken";
    let elsewhere = http::Request::post("/inbound/+15550001111").body(Bytes::new());
    for (what, door, request, outcome, counted) in [
        (
            "message",
            &good,
            twilio(&message, right),
            Some("unroutable"),
            [1, 0, 0],
        ),
        (
            "unreadable",
            &good,
            twilio(&unreadable, right),
            Some("unreadable"),
            [1, 0, 0],
        ),
        (
            "repetition",
            &good,
            twilio(&unreadable, right),
            Some("unreadable"),
            [1, 0, 0],
        ),
        (
            "wrong signature",
            &good,
            twilio(&message, "token"),
            None,
            [0, 1, 0],
        ),
        (
            "other account",
            &good,
            twilio(&stranger, right),
            None,
            [0, 1, 0],
        ),
        ("no carrier", &good, elsewhere.unwrap(), None, [0, 0, 0]),
        (
            "no table",
            &without_table,
            twilio(&message, right),
            None,
            [0, 0, 1],
        ),
        (
            "no table, unreadable",
            &without_table,
            twilio(&unreadable, right),
            None,
            [0, 0, 1],
        ),
    ] {
        let response = inbound::handle(door, request).await;
        let lines = lines.take();
        let found = patterns
            .each_ref()
            .map(|pattern| lines.iter().filter(|line| counts(pattern, line)).count());
        assert_eq!(found, counted, "{what}: {lines:#?}");
        assert_eq!(
            response.status().is_server_error(),
            counted[2] > 0,
            "{what}"
        );
        let outcomes = lines
            .iter()
            .filter_map(|line| line["fields"]["outcome"].as_str());
        assert_eq!(
            outcomes.collect::<Vec<_>>(),
            Vec::from_iter(outcome),
            "{what}"
        );
        if outcome == Some("unreadable") {
            let line = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
            assert_eq!(line["fields"]["message_sid"], sid.as_str());
            assert_eq!(line["fields"]["duplicate"], what == "repetition");
        }
        for line in &lines {
            let line = line.to_string();
            assert!(
                !line.contains("hello") && !line.contains("+1555000"),
                "{line}"
            );
        }
    }
    engine.stop().await;
}
