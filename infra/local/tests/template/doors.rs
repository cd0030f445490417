//! The HTTP APIs: their URLs, limits, logs and times.

use super::*;

/// An HTTP API waits no longer for a function.
const GATEWAY_TIME: Duration = Duration::from_secs(30);

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
