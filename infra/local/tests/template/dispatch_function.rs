//! The events of the function `dispatch`: the stream, the hand-off and the clock.

use super::*;

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
