//! Messaging services and their sender pools: a number is in one pool at most, and its unbound messages follow the pool's
//! service at once.

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, only, text};
use tests::receiver::{Receiver, Reply};
use tests::system::{ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TestSystem};
use tests::wire::Fault;

on_both_engines!(
    numbers_migrate_one_at_a_time,
    a_pool_is_listed_to_its_end,
    a_list_of_messaging_services_is_read_to_its_end,
    a_number_is_in_one_pool_at_most,
    the_numbers_of_a_deleted_service_are_free_at_once,
    a_service_that_defers_to_the_number_comes_after_it,
    a_deleted_number_leaves_its_pool,
    of_two_pools_that_want_a_number_one_gets_it,
    a_number_that_is_deleted_and_pooled_at_once_leaves_no_place,
    what_is_left_of_the_pool_of_a_deleted_service_counts_as_none,
);

on_the_embedded_engine!(
    a_messaging_service_has_exactly_the_documented_fields,
    a_member_of_a_pool_has_exactly_the_documented_fields,
    an_invalid_messaging_service_is_refused,
    an_invalid_member_of_a_pool_is_refused,
    a_messaging_service_that_does_not_exist_has_nothing,
    the_first_messaging_service_is_there_from_the_start,
    a_conversation_names_any_messaging_service_that_exists,
    the_default_messaging_service_can_change,
);

const SERVICES: &str = "/messaging/v1/Services";
const OTHER: &str = "+15550002223";

/// The path of a new service.
async fn service(system: &TestSystem, form: &[(&str, &str)]) -> String {
    let form = [&[("FriendlyName", "support")], form].concat();
    let made = system.post(SERVICES, &form).await.expect(201);
    format!("{SERVICES}/{}", text(&made["sid"]))
}

fn sid_of(service: &str) -> &str {
    service.rsplit('/').next().unwrap_or_default()
}

/// Puts a number into the pool of a service; the number's SID.
async fn pool(system: &TestSystem, service: &str, number: &Value) -> String {
    let number = text(&number["sid"]);
    let form = [("PhoneNumberSid", &*number)];
    let path = format!("{service}/PhoneNumbers");
    system.post(&path, &form).await.expect(201);
    number
}

async fn unlock(system: &TestSystem) {
    let form = [("HandleInboundMessagesWithConversations", "true")];
    let configured = system.post("/v1/Configuration", &form).await.expect(200);
    assert_eq!(
        configured["handle_inbound_messages_with_conversations"],
        true
    );
}

fn short_code_sid(number: &Value) -> String {
    text(&number["sid"]).replacen("PN", "SC", 1)
}

/// The guidance of the specification, step by step.
async fn numbers_migrate_one_at_a_time(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = application.url();
    let first = system.number(OURS, &[("SmsUrl", &url)]).await;
    let second = system.number(OTHER, &[("SmsUrl", &url)]).await;
    let mut messages = 0;
    let mut next = || {
        messages += 1;
        sid(messages)
    };

    // 1. Conversations by REST: only their pairs leave the application.
    let (migrated, _) = system.bind(ADA, OURS).await;
    system.message(&next(), ADA, OURS, "bound").await;
    system.message(&next(), BOB, OURS, "unbound").await;
    assert_eq!(system.bodies(&migrated).await, ["bound"]);
    assert_eq!(application.received().len(), 1);

    // 2. An empty messaging service autocreates nothing, before and after the account is unlocked.
    let service = service(&system, &[]).await;
    unlock(&system).await;
    system.message(&next(), BOB, OURS, "still unbound").await;
    assert_eq!(application.received().len(), 2);
    assert_eq!(system.conversations().await.len(), 1);

    // 3. One number at a time; the other one stays with the application.
    let first = pool(&system, &service, &first).await;
    system.message(&next(), BOB, OURS, "pooled").await;
    system.message(&next(), BOB, OTHER, "not pooled").await;
    assert_eq!(application.received().len(), 3);
    let [made] = &*system.list(&conversations_with(BOB)).await else {
        panic!("one conversation of {BOB}");
    };
    let made = text(&made["conversation_sid"]);
    assert_eq!(system.bodies(&made).await, ["pooled"]);
    let shown = system.fetch_conversation(&made).await;
    assert_eq!(shown["messaging_service_sid"], sid_of(&service));

    // 4. The rest of the numbers.
    pool(&system, &service, &second).await;
    system.message(&next(), BOB, OTHER, "pooled too").await;
    assert_eq!(application.received().len(), 3);
    assert_eq!(system.list(&conversations_with(BOB)).await.len(), 2);

    // A number that leaves goes back to the application.
    let place = format!("{service}/PhoneNumbers/{first}");
    system.delete(&place).await.expect(204);
    system.delete(&place).await.expect_code(404, 20404);
    system.message(&next(), "+15550001119", OURS, "left").await;
    assert_eq!(application.received().len(), 4);
    // The pair stays bound.
    system.message(&next(), BOB, OURS, "bound by now").await;
    assert_eq!(system.bodies(&made).await, ["pooled", "bound by now"]);
}

fn conversations_with(address: &str) -> String {
    let address = address.replace('+', "%2B");
    format!("/v1/ParticipantConversations?Address={address}")
}

async fn a_service_that_defers_to_the_number_comes_after_it(system: TestSystem) {
    let own = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let pooled = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let number = system.number(OURS, &[("SmsUrl", &own.url())]).await;
    let form = [
        ("InboundRequestUrl", &*pooled.url()),
        ("InboundMethod", "GET"),
        ("AutocreateConversation", "false"),
    ];
    let service = service(&system, &form).await;
    pool(&system, &service, &number).await;
    unlock(&system).await;
    for (number, (form, counts)) in [
        (&[][..], (1, 0)),
        (&[("UseInboundWebhookOnNumber", "false")], (1, 1)),
        // The service drops the message; the journal keeps it.
        (&[("InboundRequestUrl", "")], (1, 1)),
        (&[("UseInboundWebhookOnNumber", "true")], (2, 1)),
    ]
    .into_iter()
    .enumerate()
    {
        system.post(&service, form).await.expect(200);
        let number = sid(number as u64);
        let answer = system.message(&number, ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{}", answer.text());
        let found = (own.received().len(), pooled.received().len());
        assert_eq!(found, counts, "{form:?}");
    }
    assert!(system.conversations().await.is_empty());
}

async fn a_number_is_in_one_pool_at_most(system: TestSystem) {
    let number = system.number(OURS, &[]).await;
    let (one, two) = (service(&system, &[]).await, service(&system, &[]).await);
    let number = pool(&system, &one, &number).await;
    let form = [("PhoneNumberSid", &*number)];
    let again = system.post(&format!("{one}/PhoneNumbers"), &form).await;
    assert_eq!(again.expect(200)["service_sid"], sid_of(&one));
    let taken = system.post(&format!("{two}/PhoneNumbers"), &form).await;
    taken.expect_code(409, 21712);
    let place = |service: &str| format!("{service}/PhoneNumbers/{number}");
    system.get(&place(&two)).await.expect_code(404, 20404);
    system.delete(&place(&two)).await.expect_code(404, 20404);
    system.get(&place(&one)).await.expect(200);
    system.delete(&place(&one)).await.expect(204);
    let moved = system.post(&format!("{two}/PhoneNumbers"), &form).await;
    moved.expect(201);
    assert!(system.list(&format!("{one}/PhoneNumbers")).await.is_empty());
    only(system.list(&format!("{two}/PhoneNumbers")).await);
}

async fn the_numbers_of_a_deleted_service_are_free_at_once(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let number = system.number(OURS, &[("SmsUrl", &application.url())]).await;
    unlock(&system).await;
    let (one, two) = (service(&system, &[]).await, service(&system, &[]).await);
    let number_sid = pool(&system, &one, &number).await;
    let sender = [("AlphaSender", "ACME")];
    let senders = format!("{one}/AlphaSenders");
    system.post(&senders, &sender).await.expect(201);
    system.delete(&one).await.expect(204);
    for path in [&one, &senders, &format!("{one}/PhoneNumbers/{number_sid}")] {
        system.get(path).await.expect_code(404, 20404);
    }
    system.delete(&one).await.expect_code(404, 20404);
    system.message(&sid(1), ADA, OURS, "free").await;
    assert_eq!(application.received().len(), 1);
    pool(&system, &two, &number).await;
    system.message(&sid(2), ADA, OURS, "pooled").await;
    assert_eq!(application.received().len(), 1);
    let made = system.conversation_of(ADA).await;
    assert_eq!(system.bodies(&made).await, ["pooled"]);
}

async fn a_deleted_number_leaves_its_pool(system: TestSystem) {
    let service = service(&system, &[]).await;
    let number = system.number(OURS, &[]).await;
    let number = pool(&system, &service, &number).await;
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/{number}.json");
    system.delete(&path).await.expect(204);
    let path = format!("{service}/PhoneNumbers");
    system
        .get(&format!("{path}/{number}"))
        .await
        .expect_code(404, 20404);
    assert!(system.list(&path).await.is_empty());
    let again = system.number(OURS, &[]).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    pool(&system, &service, &again).await;
    only(system.list(&path).await);
}

async fn of_two_pools_that_want_a_number_one_gets_it(system: TestSystem) {
    let services = [service(&system, &[]).await, service(&system, &[]).await];
    for number in 0..5 {
        let number = system.number(&format!("+1555000300{number}"), &[]).await;
        let number = text(&number["sid"]);
        let form = [("PhoneNumberSid", &*number)];
        let paths = services
            .each_ref()
            .map(|path| format!("{path}/PhoneNumbers"));
        let (one, two) =
            tokio::join!(system.post(&paths[0], &form), system.post(&paths[1], &form),);
        let mut statuses = [one, two].map(|answer| answer.status.as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
    let mut listed = 0;
    for service in &services {
        listed += system.list(&format!("{service}/PhoneNumbers")).await.len();
    }
    assert_eq!(listed, 5);
}

async fn a_number_that_is_deleted_and_pooled_at_once_leaves_no_place(system: TestSystem) {
    let service = service(&system, &[]).await;
    let path = format!("{service}/PhoneNumbers");
    for number in 0..5 {
        let number = system.number(&format!("+1555000300{number}"), &[]).await;
        let number = text(&number["sid"]);
        let resource = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/{number}.json");
        let form = [("PhoneNumberSid", &*number)];
        let (deleted, pooled) = tokio::join!(system.delete(&resource), system.post(&path, &form));
        deleted.expect(204);
        assert!(
            [201, 400].contains(&pooled.status.as_u16()),
            "{}",
            pooled.text()
        );
    }
    assert!(system.list(&path).await.is_empty());
}

/// The index that lists the pool may lag behind the table, so the deletion may miss a number.
async fn what_is_left_of_the_pool_of_a_deleted_service_counts_as_none(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let number = system.number(OURS, &[("SmsUrl", &application.url())]).await;
    unlock(&system).await;
    let (one, two) = (service(&system, &[]).await, service(&system, &[]).await);
    let number_sid = pool(&system, &one, &number).await;
    system.wire.fail_by(|operation, body| {
        (operation == "Query" && body.contains("LP#")).then_some(Fault::Part(0))
    });
    system.delete(&one).await.expect(204);
    system.wire.heal();
    system.message(&sid(1), ADA, OURS, "free").await;
    assert_eq!(application.received().len(), 1);
    pool(&system, &two, &number).await;
    let path = format!("{two}/PhoneNumbers");
    assert_eq!(only(system.list(&path).await)["sid"], number_sid);
    system.message(&sid(2), ADA, OURS, "pooled").await;
    assert_eq!(application.received().len(), 1);
    system.conversation_of(ADA).await;
}

async fn a_pool_is_listed_to_its_end(system: TestSystem) {
    let (service, other) = (service(&system, &[]).await, service(&system, &[]).await);
    let mut expected = Vec::new();
    for number in 0..5 {
        let number = system.number(&format!("+1555000300{number}"), &[]).await;
        expected.push(pool(&system, &service, &number).await);
    }
    let number = system.number("+15550003009", &[]).await;
    pool(&system, &other, &number).await;
    let path = format!("{service}/PhoneNumbers?PageSize=2");
    let rows = system.list(&path).await;
    let found: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
    assert_eq!(found, expected);
    let mut expected = Vec::new();
    for name in ["ACME", "ACME 2", "R-2_D+2&"] {
        let path = format!("{service}/AlphaSenders");
        let made = system.post(&path, &[("AlphaSender", name)]).await;
        expected.push(text(&made.expect(201)["sid"]));
        let again = system.post(&path, &[("AlphaSender", name)]).await;
        again.expect_code(409, 20409);
    }
    let path = format!("{service}/AlphaSenders?PageSize=1");
    let rows = system.list(&path).await;
    let mut found: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

async fn a_list_of_messaging_services_is_read_to_its_end(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..4 {
        expected.push(sid_of(&service(&system, &[]).await).to_owned());
    }
    let rows = system.list(&format!("{SERVICES}?PageSize=2")).await;
    let mut found: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
    let default = system.get("/v1/Configuration").await.expect(200);
    expected.push(text(&default["default_messaging_service_sid"]));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

async fn a_messaging_service_has_exactly_the_documented_fields(system: TestSystem) {
    let made = system.post(SERVICES, &[("FriendlyName", "support")]).await;
    let made = made.expect(201);
    assert!(is_sid(&made["sid"], "MG"), "{made}");
    let url = format!("{PUBLIC_URL}{SERVICES}/{}", text(&made["sid"]));
    let mut expected = json!({
        "sid": made["sid"],
        "account_sid": ACCOUNT,
        "friendly_name": "support",
        "autocreate_conversation": true,
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
        "inbound_request_url": null,
        "inbound_method": "POST",
        "fallback_url": null,
        "fallback_method": "POST",
        "status_callback": null,
        "sticky_sender": true,
        "mms_converter": true,
        "smart_encoding": true,
        "scan_message_content": "inherit",
        "fallback_to_long_code": true,
        "area_code_geomatch": true,
        "synchronous_validation": false,
        "validity_period": 36_000,
        "usecase": "undeclared",
        "us_app_to_person_registered": false,
        "use_inbound_webhook_on_number": true,
        "url": url,
        "links": {
            "phone_numbers": format!("{url}/PhoneNumbers"),
            "short_codes": format!("{url}/ShortCodes"),
            "alpha_senders": format!("{url}/AlphaSenders"),
            "messages": format!("{url}/Messages"),
            "us_app_to_person": format!("{url}/Compliance/Usa2p"),
            "us_app_to_person_usecases": format!("{url}/Compliance/Usa2p/Usecases"),
            "channel_senders": format!("{url}/ChannelSenders"),
            "destination_alpha_senders": format!("{url}/DestinationAlphaSenders"),
        },
    });
    assert_eq!(made, expected);
    assert_eq!(system.get(&url).await.expect(200), expected);
    let changes = [
        ("FriendlyName", "friendly_name", json!("sales")),
        (
            "AutocreateConversation",
            "autocreate_conversation",
            json!(false),
        ),
        (
            "InboundRequestUrl",
            "inbound_request_url",
            json!("https://a.example/"),
        ),
        ("InboundMethod", "inbound_method", json!("GET")),
        ("FallbackUrl", "fallback_url", json!("https://b.example/")),
        ("FallbackMethod", "fallback_method", json!("GET")),
        (
            "StatusCallback",
            "status_callback",
            json!("https://c.example/"),
        ),
        ("StickySender", "sticky_sender", json!(false)),
        ("MmsConverter", "mms_converter", json!(false)),
        ("SmartEncoding", "smart_encoding", json!(false)),
        (
            "ScanMessageContent",
            "scan_message_content",
            json!("disable"),
        ),
        ("FallbackToLongCode", "fallback_to_long_code", json!(false)),
        ("AreaCodeGeomatch", "area_code_geomatch", json!(false)),
        (
            "SynchronousValidation",
            "synchronous_validation",
            json!(true),
        ),
        ("ValidityPeriod", "validity_period", json!(600)),
        ("Usecase", "usecase", json!("marketing")),
        (
            "UseInboundWebhookOnNumber",
            "use_inbound_webhook_on_number",
            json!(false),
        ),
    ];
    let mut form = Vec::new();
    for (parameter, field, value) in changes {
        let value_text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        form.push((parameter, value_text));
        expected[field] = value;
    }
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
    let updated = system.post(&url, &form).await.expect(200);
    expected["date_updated"] = updated["date_updated"].clone();
    assert_eq!(updated, expected);
    assert_eq!(system.get(&url).await.expect(200), expected);
    let form = [&[("FriendlyName", "another")], &form[1..]].concat();
    let with_url = [
        ("FriendlyName", "webhook"),
        ("InboundRequestUrl", "https://a.example/"),
    ];
    let with_url = system.post(SERVICES, &with_url).await.expect(201);
    assert_eq!(with_url["autocreate_conversation"], false);
    let another = system.post(SERVICES, &form).await.expect(201);
    assert_eq!(another["validity_period"], 600);
    assert_eq!(another["autocreate_conversation"], false);
}

async fn a_member_of_a_pool_has_exactly_the_documented_fields(system: TestSystem) {
    let service = service(&system, &[]).await;
    let number = system.number("+14155550123", &[]).await;
    let short_code = system.number("12345", &[]).await;
    let (number, short_code) = (text(&number["sid"]), short_code_sid(&short_code));
    for (list, parameter, value, field, shown, country, capabilities) in [
        (
            "PhoneNumbers",
            "PhoneNumberSid",
            &*number,
            "phone_number",
            "+14155550123",
            json!("US"),
            json!(["SMS", "MMS"]),
        ),
        (
            "ShortCodes",
            "ShortCodeSid",
            &*short_code,
            "short_code",
            "12345",
            Value::Null,
            json!(["SMS", "MMS"]),
        ),
        (
            "AlphaSenders",
            "AlphaSender",
            "ACME",
            "alpha_sender",
            "ACME",
            Value::Null,
            json!(["SMS"]),
        ),
    ] {
        let path = format!("{service}/{list}");
        let made = system.post(&path, &[(parameter, value)]).await.expect(201);
        let sid = text(&made["sid"]);
        let url = format!("{PUBLIC_URL}{path}/{sid}");
        let mut expected = json!({
            "sid": sid,
            "account_sid": ACCOUNT,
            "service_sid": sid_of(&service),
            "date_created": made["date_created"],
            "date_updated": made["date_created"],
            "capabilities": capabilities,
            "url": url,
        });
        expected[field] = json!(shown);
        match list {
            "AlphaSenders" => assert!(is_sid(&made["sid"], "AI"), "{made}"),
            _ => {
                expected["country_code"] = country;
                assert_eq!(sid, value);
            }
        }
        assert_eq!(made, expected);
        assert_eq!(system.get(&url).await.expect(200), expected);
        assert_eq!(only(system.list(&path).await), expected);
        system.delete(&url).await.expect(204);
        system.get(&url).await.expect_code(404, 20404);
        system.delete(&url).await.expect_code(404, 20404);
    }
}

async fn an_invalid_messaging_service_is_refused(system: TestSystem) {
    let long = "a".repeat(65);
    for form in [
        &[][..],
        &[("FriendlyName", "")],
        &[("FriendlyName", &*long)],
        &[("FriendlyName", "a"), ("ValidityPeriod", "36001")],
        &[("FriendlyName", "a"), ("InboundRequestUrl", "x")],
    ] {
        system.post(SERVICES, form).await.expect_code(400, 20001);
    }
    let form = [("HandleInboundMessagesWithConversations", "yes")];
    let refused = system.post("/v1/Configuration", &form).await;
    refused.expect_code(400, 20001);
    let put = system.post(&format!("{SERVICES}/MG0"), &[]).await;
    put.expect_code(404, 20404);
}

async fn an_invalid_member_of_a_pool_is_refused(system: TestSystem) {
    let service = service(&system, &[]).await;
    let number = text(&system.number(OURS, &[]).await["sid"]);
    let short_code = text(&system.number("12345", &[]).await["sid"]);
    let unknown = format!("{}{}", &number[..18], "0".repeat(16));
    for (list, form, code) in [
        ("PhoneNumbers", &[][..], 20001),
        ("PhoneNumbers", &[("PhoneNumberSid", "PN0")], 20001),
        ("PhoneNumbers", &[("PhoneNumberSid", &*short_code)], 20001),
        ("PhoneNumbers", &[("PhoneNumberSid", &*unknown)], 21711),
        ("ShortCodes", &[("ShortCodeSid", &*short_code)], 20001),
        (
            "ShortCodes",
            &[("ShortCodeSid", &*number.replacen("PN", "SC", 1))],
            20001,
        ),
        ("AlphaSenders", &[], 20001),
        ("AlphaSenders", &[("AlphaSender", "")], 20001),
        ("AlphaSenders", &[("AlphaSender", "12345")], 20001),
        ("AlphaSenders", &[("AlphaSender", "twelve chars")], 20001),
        ("AlphaSenders", &[("AlphaSender", "E.ON")], 20001),
    ] {
        let path = format!("{service}/{list}");
        system.post(&path, form).await.expect_code(400, code);
    }
}

async fn a_messaging_service_that_does_not_exist_has_nothing(system: TestSystem) {
    let number = text(&system.number(OURS, &[]).await["sid"]);
    for service in [format!("MG{}", "0".repeat(32)), "x".to_owned()] {
        let path = format!("{SERVICES}/{service}");
        system.get(&path).await.expect_code(404, 20404);
        system.post(&path, &[]).await.expect_code(404, 20404);
        system.delete(&path).await.expect_code(404, 20404);
        let form = [("PhoneNumberSid", &*number), ("AlphaSender", "ACME")];
        for list in ["PhoneNumbers", "ShortCodes", "AlphaSenders"] {
            let path = format!("{path}/{list}");
            system.get(&path).await.expect_code(404, 20404);
            if list != "ShortCodes" {
                system.post(&path, &form).await.expect_code(404, 20404);
            }
            let path = format!("{path}/{number}");
            system.get(&path).await.expect_code(404, 20404);
            system.delete(&path).await.expect_code(404, 20404);
        }
        let form = [("MessagingServiceSid", &*service)];
        let refused = system.post("/v1/Conversations", &form).await;
        refused.expect_code(400, 50341);
    }
}

async fn the_first_messaging_service_is_there_from_the_start(system: TestSystem) {
    let configuration = system.get("/v1/Configuration").await.expect(200);
    assert_eq!(
        configuration["handle_inbound_messages_with_conversations"],
        false
    );
    let first = text(&configuration["default_messaging_service_sid"]);
    let path = format!("{SERVICES}/{first}");
    let shown = system.get(&path).await.expect(200);
    assert_eq!(shown["sid"], first);
    assert_eq!(only(system.list(SERVICES).await), shown);
    system.delete(&path).await.expect_code(409, 20409);
    let number = system.number(OURS, &[]).await;
    pool(&system, &path, &number).await;
    unlock(&system).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let made = system.conversation_of(ADA).await;
    assert_eq!(system.bodies(&made).await, ["hello"]);
}

async fn a_conversation_names_any_messaging_service_that_exists(system: TestSystem) {
    let (one, two) = (service(&system, &[]).await, service(&system, &[]).await);
    let form = [("MessagingServiceSid", sid_of(&one))];
    let made = system.conversation(&form).await;
    let shown = system.fetch_conversation(&made).await;
    assert_eq!(shown["messaging_service_sid"], sid_of(&one));
    let form = [("MessagingServiceSid", sid_of(&two))];
    let updated = system.update_conversation(&made, &form).await.expect(200);
    assert_eq!(updated["messaging_service_sid"], sid_of(&two));
    let unknown = format!("MG{}", "0".repeat(32));
    let form = [("MessagingServiceSid", &*unknown)];
    let refused = system.update_conversation(&made, &form).await;
    refused.expect_code(400, 50341);
    let shown = system.fetch_conversation(&made).await;
    assert_eq!(shown["messaging_service_sid"], sid_of(&two));
}

async fn the_default_messaging_service_can_change(system: TestSystem) {
    let service = service(&system, &[]).await;
    let form = [("DefaultMessagingServiceSid", sid_of(&service))];
    let changed = system.post("/v1/Configuration", &form).await.expect(200);
    assert_eq!(changed["default_messaging_service_sid"], sid_of(&service));
    let by_rest = system.conversation(&[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let autocreated = system.conversation_of(ADA).await;
    for made in [by_rest, autocreated] {
        let shown = system.fetch_conversation(&made).await;
        assert_eq!(shown["messaging_service_sid"], sid_of(&service));
    }
    system.delete(&service).await.expect_code(409, 20409);
    let unknown = format!("MG{}", "0".repeat(32));
    let form = [("DefaultMessagingServiceSid", &*unknown)];
    let refused = system.post("/v1/Configuration", &form).await;
    refused.expect_code(400, 50341);
}
