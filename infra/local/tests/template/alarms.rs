//! The alarms, and the log lines that they count.

use super::*;

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
    let readme = include_str!("../../../../README.md");
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
