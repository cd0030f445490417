//! The settings that route a message: the account's, its webhooks, address configurations, numbers. Each is in force
//! when its call returns.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, keys, only, seconds, text};
use tests::receiver::{Receiver, Reply};
use tests::system::{ACCOUNT, ADA, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    a_change_of_the_webhooks_leaves_the_rest_alone,
    an_address_configuration_is_found_by_sid_and_by_address,
    an_update_of_an_address_configuration_changes_what_it_names,
    an_address_has_one_configuration,
    a_list_of_address_configurations_is_read_to_its_end,
    an_address_configuration_is_in_force_at_once,
    a_number_is_once_ours,
    a_number_is_changed_and_deleted,
    a_list_of_numbers_is_read_to_its_end,
    a_webhook_of_a_number_is_in_force_at_once,
    a_pre_action_webhook_is_in_force_at_once,
);

on_the_embedded_engine!(
    the_configuration_has_exactly_the_documented_fields,
    a_default_timer_is_checked,
    a_default_timer_is_for_new_conversations_only,
    the_webhooks_have_exactly_the_documented_fields,
    invalid_webhooks_are_refused,
    an_address_configuration_has_exactly_the_documented_fields,
    an_address_configuration_with_a_webhook_shows_it,
    an_address_configuration_is_off_until_it_is_enabled,
    an_invalid_address_configuration_is_refused,
    a_number_has_the_documented_fields,
    an_invalid_number_is_refused,
    numbers_of_another_account_are_not_ours,
);

const ADDRESSES: &str = "/v1/Configuration/Addresses";
const WEBHOOKS: &str = "/v1/Configuration/Webhooks";

/// The numbers of the account.
fn numbers() -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json")
}

async fn the_configuration_has_exactly_the_documented_fields(system: TestSystem) {
    let url = format!("{PUBLIC_URL}/v1/Configuration");
    let fresh = system.get(&url).await.expect(200);
    let service = &fresh["default_chat_service_sid"];
    assert!(is_sid(service, "IS"), "{fresh}");
    let messaging_service = &fresh["default_messaging_service_sid"];
    assert!(is_sid(messaging_service, "MG"), "{fresh}");
    let links = json!({
        "service": format!("{PUBLIC_URL}/v1/Services/{}/Configuration", text(service)),
        "webhooks": format!("{PUBLIC_URL}{WEBHOOKS}"),
    });
    let mut expected = json!({
        "account_sid": ACCOUNT,
        "default_chat_service_sid": service,
        "default_messaging_service_sid": messaging_service,
        "default_inactive_timer": null,
        "default_closed_timer": null,
        "handle_inbound_messages_with_conversations": false,
        "url": url,
        "links": links,
    });
    assert_eq!(fresh, expected);
    for (parameter, key, value) in [
        ("DefaultInactiveTimer", "default_inactive_timer", "PT1M"),
        ("DefaultClosedTimer", "default_closed_timer", "PT10M"),
        ("DefaultInactiveTimer", "default_inactive_timer", "PT2H"),
    ] {
        expected[key] = json!(value);
        let updated = system.post(&url, &[(parameter, value)]).await;
        assert_eq!(updated.expect(200), expected);
        assert_eq!(system.get(&url).await.expect(200), expected);
    }
}

async fn a_default_timer_is_checked(system: TestSystem) {
    let path = "/v1/Configuration";
    let before = system.get(path).await.expect(200);
    for (parameter, value, code) in [
        ("DefaultInactiveTimer", "PT59S", 50375),
        ("DefaultInactiveTimer", "soon", 50379),
        ("DefaultClosedTimer", "PT9M59S", 50376),
        ("DefaultClosedTimer", "600", 50380),
    ] {
        let answer = system.post(path, &[(parameter, value)]).await;
        answer.expect_code(400, code);
    }
    assert_eq!(system.get(path).await.expect(200), before);
}

async fn a_default_timer_is_for_new_conversations_only(system: TestSystem) {
    system.autocreation(OURS).await;
    let before = system.conversation(&[]).await;
    let timer = [("DefaultClosedTimer", "P1D")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    system.message(&sid(1), ADA, OURS, "hello").await;
    let own = [("Timers.Closed", "PT1H")];
    let with_its_own = system.conversation(&own).await;
    let by_rest = system.conversation(&[]).await;
    for conversation in system.conversations().await {
        let sid = text(&conversation["sid"]);
        let timers = &conversation["timers"];
        if sid == before {
            assert_eq!(*timers, json!({}));
            continue;
        }
        let after = seconds(&timers["date_closed"]) - seconds(&conversation["date_created"]);
        let expected = if sid == with_its_own { 3_600 } else { 86_400 };
        assert_eq!(after, expected, "{conversation}");
    }
    let timer = [("DefaultClosedTimer", "PT2H")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    let conversation = system.fetch_conversation(&by_rest).await;
    let closed = seconds(&conversation["timers"]["date_closed"]);
    assert_eq!(closed - seconds(&conversation["date_created"]), 86_400);
}

async fn the_webhooks_have_exactly_the_documented_fields(system: TestSystem) {
    let url = format!("{PUBLIC_URL}{WEBHOOKS}");
    let fresh = system.get(&url).await.expect(200);
    assert_eq!(
        keys(&fresh),
        [
            "account_sid",
            "filters",
            "method",
            "on_timeout",
            "post_webhook_url",
            "pre_webhook_url",
            "target",
            "url",
        ]
    );
    assert_eq!(fresh["account_sid"], ACCOUNT);
    assert_eq!(fresh["pre_webhook_url"], Value::Null);
    assert_eq!(fresh["post_webhook_url"], Value::Null);
    assert_eq!(fresh["on_timeout"], "publish");
    assert_eq!(fresh["url"], json!(url));

    let form = [
        ("PreWebhookUrl", "https://example.com/pre"),
        ("PostWebhookUrl", "https://example.com/post"),
        ("Method", "GET"),
        ("Filters", "onMessageAdd"),
        ("Filters", "onConversationUpdated"),
        ("Target", "webhook"),
        ("OnTimeout", "reject"),
    ];
    let updated = system.post(&url, &form).await.expect(200);
    let expected = json!({
        "account_sid": ACCOUNT,
        "pre_webhook_url": "https://example.com/pre",
        "post_webhook_url": "https://example.com/post",
        "method": "GET",
        "filters": ["onMessageAdd", "onConversationUpdated"],
        "target": "webhook",
        "on_timeout": "reject",
        "url": url,
    });
    assert_eq!(updated, expected);
    assert_eq!(system.get(&url).await.expect(200), expected);
}

async fn a_change_of_the_webhooks_leaves_the_rest_alone(system: TestSystem) {
    let form = [
        ("PreWebhookUrl", "https://example.com/pre"),
        ("PostWebhookUrl", "https://example.com/post"),
        ("Method", "POST"),
        ("Filters", "onMessageAdd"),
        ("Target", "webhook"),
    ];
    let mut expected = system.post(WEBHOOKS, &form).await.expect(200);
    for (parameter, key, value, shown) in [
        ("Method", "method", "GET", json!("GET")),
        ("OnTimeout", "on_timeout", "reject", json!("reject")),
        (
            "PreWebhookUrl",
            "pre_webhook_url",
            "https://example.com/new?a=1",
            json!("https://example.com/new?a=1"),
        ),
        (
            "Filters",
            "filters",
            "onMessageAdded",
            json!(["onMessageAdded"]),
        ),
        ("OnTimeout", "on_timeout", "publish", json!("publish")),
    ] {
        expected[key] = shown;
        let updated = system.post(WEBHOOKS, &[(parameter, value)]).await;
        assert_eq!(updated.expect(200), expected);
        assert_eq!(system.get(WEBHOOKS).await.expect(200), expected);
    }
}

async fn invalid_webhooks_are_refused(system: TestSystem) {
    let before = system.get(WEBHOOKS).await.expect(200);
    for (parameter, value, code) in [
        ("PreWebhookUrl", "example", Some(50077)),
        ("PreWebhookUrl", "ftp://example.com/pre", Some(50077)),
        ("PostWebhookUrl", "example", Some(50078)),
        ("PostWebhookUrl", "javascript:alert(1)", Some(50078)),
        ("Method", "PUT", Some(50055)),
        ("OnTimeout", "maybe", None),
        ("Target", "pigeon", None),
    ] {
        let answer = system.post(WEBHOOKS, &[(parameter, value)]).await;
        let error = answer.expect(400);
        assert_eq!(error["status"], 400, "{parameter}={value}: {error}");
        if let Some(code) = code {
            assert_eq!(error["code"], code, "{parameter}={value}: {error}");
        }
    }
    assert_eq!(system.get(WEBHOOKS).await.expect(200), before);
}

async fn an_address_configuration_has_exactly_the_documented_fields(system: TestSystem) {
    let form = [
        ("Type", "SMS"),
        ("Address", OURS),
        ("FriendlyName", "Support"),
        ("AutoCreation.Enabled", "True"),
        ("AutoCreation.Type", "default"),
    ];
    let made = system.post(ADDRESSES, &form).await.expect(201);
    assert_eq!(
        keys(&made),
        [
            "account_sid",
            "address",
            "address_country",
            "auto_creation",
            "date_created",
            "date_updated",
            "friendly_name",
            "sid",
            "type",
            "url",
        ]
    );
    assert!(is_sid(&made["sid"], "IG"), "{made}");
    assert_eq!(made["account_sid"], ACCOUNT);
    assert_eq!(made["type"], "sms");
    assert_eq!(made["address"], OURS);
    assert_eq!(made["friendly_name"], "Support");
    assert_eq!(made["address_country"], Value::Null);
    let auto_creation = json!({"enabled": true, "type": "default"});
    assert_eq!(made["auto_creation"], auto_creation);
    assert_eq!(
        seconds(&made["date_created"]),
        seconds(&made["date_updated"])
    );
    let url = format!("{PUBLIC_URL}{ADDRESSES}/{}", text(&made["sid"]));
    assert_eq!(made["url"], json!(url));
    assert_eq!(system.get(&url).await.expect(200), made);
    assert_eq!(only(system.list(ADDRESSES).await), made);
}

async fn an_address_configuration_with_a_webhook_shows_it(system: TestSystem) {
    let configuration = system.get("/v1/Configuration").await.expect(200);
    let service = text(&configuration["default_chat_service_sid"]);
    let form = [
        ("Type", "sms"),
        ("Address", OURS),
        ("AutoCreation.Enabled", "true"),
        ("AutoCreation.Type", "webhook"),
        ("AutoCreation.ConversationServiceSid", &service),
        ("AutoCreation.WebhookUrl", "https://example.com"),
        ("AutoCreation.WebhookMethod", "post"),
        ("AutoCreation.WebhookFilters", "onParticipantAdded"),
        ("AutoCreation.WebhookFilters", "onMessageAdded"),
    ];
    let made = system.post(ADDRESSES, &form).await.expect(201);
    assert_eq!(
        made["auto_creation"],
        json!({
            "enabled": true,
            "type": "webhook",
            "conversation_service_sid": service,
            "webhook_url": "https://example.com",
            "webhook_method": "POST",
            "webhook_filters": ["onParticipantAdded", "onMessageAdded"],
        })
    );
    // The configuration gives its conversations a webhook, and makes them like any other.
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["chat_service_sid"], json!(service));
}

async fn an_address_configuration_is_off_until_it_is_enabled(system: TestSystem) {
    let form = [("Type", "sms"), ("Address", OURS)];
    let made = system.post(ADDRESSES, &form).await.expect(201);
    assert_eq!(made["auto_creation"]["enabled"], false);
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(system.conversations().await.len(), 0);
}

async fn an_address_configuration_is_found_by_sid_and_by_address(system: TestSystem) {
    let whatsapp = format!("whatsapp:{OURS}");
    for (address, path) in [
        (OURS, "%2B15550002222"),
        (whatsapp.as_str(), "whatsapp%3A%2B15550002222"),
    ] {
        let made = system.autocreation(address).await;
        let path = format!("{ADDRESSES}/{path}");
        assert_eq!(system.get(&path).await.expect(200), made);
        let form = [("FriendlyName", "by address")];
        let updated = system.post(&path, &form).await.expect(200);
        assert_eq!(updated["sid"], made["sid"]);
        assert_eq!(system.get(&text(&made["url"])).await.expect(200), updated);
        system.delete(&path).await.expect(204);
        system.get(&path).await.expect_code(404, 20404);
        let url = text(&made["url"]);
        system.get(&url).await.expect_code(404, 20404);
        system.delete(&url).await.expect_code(404, 20404);
        system.post(&url, &form).await.expect_code(404, 20404);
    }
    let never = format!("{ADDRESSES}/IG00000000000000000000000000000000");
    system.get(&never).await.expect_code(404, 20404);
}

async fn an_update_of_an_address_configuration_changes_what_it_names(system: TestSystem) {
    let mut expected = system.autocreation(OURS).await;
    let url = text(&expected["url"]);
    system.advance(Duration::from_secs(2));
    let form = [("FriendlyName", "Support")];
    let updated = system.post(&url, &form).await.expect(200);
    assert!(seconds(&updated["date_updated"]) > seconds(&expected["date_updated"]));
    expected["date_updated"] = updated["date_updated"].clone();
    expected["friendly_name"] = json!("Support");
    assert_eq!(updated, expected);

    let form = [("AutoCreation.Enabled", "false")];
    let updated = system.post(&url, &form).await.expect(200);
    assert_eq!(updated["auto_creation"]["enabled"], false);
    assert_eq!(updated["friendly_name"], "Support");
    assert_eq!(updated["address"], OURS);

    let form = [
        ("AutoCreation.Type", "webhook"),
        ("AutoCreation.WebhookUrl", "https://example.com/hook"),
        ("AutoCreation.WebhookMethod", "GET"),
    ];
    let updated = system.post(&url, &form).await.expect(200);
    let auto_creation = &updated["auto_creation"];
    assert_eq!(auto_creation["enabled"], false);
    assert_eq!(auto_creation["type"], "webhook");
    assert_eq!(auto_creation["webhook_url"], "https://example.com/hook");
    assert_eq!(auto_creation["webhook_method"], "GET");
    assert_eq!(system.get(&url).await.expect(200), updated);
}

async fn an_address_has_one_configuration(system: TestSystem) {
    let first = system.autocreation(OURS).await;
    for enabled in ["true", "false"] {
        let form = [
            ("Type", "sms"),
            ("Address", OURS),
            ("AutoCreation.Enabled", enabled),
        ];
        let error = system.post(ADDRESSES, &form).await.expect(409);
        assert_eq!(error["status"], 409, "{error}");
        assert!(
            text(&error["message"]).contains("already exists"),
            "{error}"
        );
    }
    assert_eq!(only(system.list(ADDRESSES).await), first);
    // The same number on another channel is another address.
    system.autocreation(&format!("whatsapp:{OURS}")).await;
    // When it is gone, there may be a new one.
    system.delete(&text(&first["url"])).await.expect(204);
    let new = system.autocreation(OURS).await;
    assert_ne!(new["sid"], first["sid"]);
}

async fn an_invalid_address_configuration_is_refused(system: TestSystem) {
    let long = "x".repeat(257);
    let (sms, ours) = (("Type", "sms"), ("Address", OURS));
    for form in [
        &[ours][..],
        &[sms],
        &[sms, ("Address", "")],
        &[sms, ("Address", "ours")],
        &[("Type", "pigeon"), ours],
        &[sms, ("Address", "whatsapp:+15550002222")],
        &[sms, ours, ("FriendlyName", &long)],
        &[sms, ours, ("AutoCreation.Enabled", "perhaps")],
        &[sms, ours, ("AutoCreation.Type", "pigeon")],
        &[
            sms,
            ours,
            ("AutoCreation.Type", "webhook"),
            ("AutoCreation.WebhookUrl", "not a URL"),
        ],
        &[
            sms,
            ours,
            ("AutoCreation.Type", "webhook"),
            ("AutoCreation.WebhookUrl", "https://example.com"),
            ("AutoCreation.WebhookMethod", "put"),
        ],
        &[
            sms,
            ours,
            ("AutoCreation.Type", "webhook"),
            ("AutoCreation.WebhookUrl", "https://example.com"),
            ("AutoCreation.WebhookFilters", "onConversationAdded"),
        ],
    ] {
        let answer = system.post(ADDRESSES, form).await;
        assert_eq!(answer.status, 400, "{form:?}: {}", answer.text());
        assert_eq!(answer.json()["status"], 400, "{form:?}");
    }
    assert_eq!(system.list(ADDRESSES).await.len(), 0);
}

async fn a_list_of_address_configurations_is_read_to_its_end(system: TestSystem) {
    let mut expected = Vec::new();
    for number in 0..7 {
        let sms = format!("+1555000300{number}");
        expected.push(("sms", text(&system.autocreation(&sms).await["sid"])));
        let whatsapp = format!("whatsapp:{sms}");
        let made = system.autocreation(&whatsapp).await;
        expected.push(("whatsapp", text(&made["sid"])));
    }
    for (filter, kinds) in [
        ("", &["sms", "whatsapp"][..]),
        ("&Type=sms", &["sms"]),
        ("&Type=whatsapp", &["whatsapp"]),
    ] {
        let mut expected: Vec<_> = expected
            .iter()
            .filter(|(kind, _)| kinds.contains(kind))
            .map(|(_, sid)| sid.clone())
            .collect();
        expected.sort();
        for size in [3, 7, 50] {
            let path = format!("{ADDRESSES}?PageSize={size}{filter}");
            let rows = system.list(&path).await;
            let mut sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
            sids.sort();
            assert_eq!(sids, expected, "{path}");
        }
    }
    let page = system.get(&format!("{ADDRESSES}?PageSize=100")).await;
    let page = page.expect(200);
    assert_eq!(keys(&page), ["address_configurations", "meta"]);
    assert_eq!(page["meta"]["page_size"], 50);
    assert_eq!(page["meta"]["key"], "address_configurations");
}

async fn an_address_configuration_is_in_force_at_once(system: TestSystem) {
    let mut count = 0;
    let mut url = None;
    for (number, setting) in (0..).zip(["none", "new", "off", "on", "deleted", "new"]) {
        match (setting, &url) {
            ("new", _) => url = Some(text(&system.autocreation(OURS).await["url"])),
            ("off", Some(url)) => {
                let form = [("AutoCreation.Enabled", "false")];
                system.post(url, &form).await.expect(200);
            }
            ("on", Some(url)) => {
                let form = [("AutoCreation.Enabled", "true")];
                system.post(url, &form).await.expect(200);
            }
            ("deleted", Some(url)) => {
                system.delete(url).await.expect(204);
            }
            _ => {}
        }
        let from = format!("+1555000400{number}");
        let answer = system.message(&sid(number), &from, OURS, "hello").await;
        assert!(answer.accepted(), "{setting}");
        count += usize::from(matches!(setting, "new" | "on"));
        assert_eq!(system.conversations().await.len(), count, "{setting}");
    }
}

async fn a_number_has_the_documented_fields(system: TestSystem) {
    let form = [
        ("PhoneNumber", OURS),
        ("FriendlyName", "Support"),
        ("SmsUrl", "https://example.com/sms"),
        ("SmsMethod", "GET"),
        ("SmsFallbackUrl", "https://example.com/fallback"),
        ("SmsFallbackMethod", "POST"),
        ("Carrier", "simulator"),
        ("InboundWebhook", "always"),
    ];
    let made = system.post(&numbers(), &form).await.expect(201);
    // Those of a number that have to do with messages, and two of ours.
    for key in [
        "account_sid",
        "api_version",
        "capabilities",
        "carrier",
        "date_created",
        "date_updated",
        "friendly_name",
        "inbound_webhook",
        "phone_number",
        "sid",
        "sms_application_sid",
        "sms_fallback_method",
        "sms_fallback_url",
        "sms_method",
        "sms_url",
        "uri",
    ] {
        assert!(keys(&made).contains(&key), "{key} is missing: {made}");
    }
    let sid = text(&made["sid"]);
    assert!(is_sid(&made["sid"], "PN"), "{made}");
    for (key, value) in [
        ("account_sid", ACCOUNT),
        ("api_version", "2010-04-01"),
        ("carrier", "simulator"),
        ("friendly_name", "Support"),
        ("inbound_webhook", "always"),
        ("phone_number", OURS),
        ("sms_fallback_method", "POST"),
        ("sms_fallback_url", "https://example.com/fallback"),
        ("sms_method", "GET"),
        ("sms_url", "https://example.com/sms"),
        (
            "uri",
            &format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/{sid}.json"),
        ),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    // RFC 2822, as `Thu, 30 Jul 2015 23:19:04 +0000`.
    for key in ["date_created", "date_updated"] {
        let date = text(&made[key]);
        assert_eq!(
            date.len(),
            "Thu, 30 Jul 2015 23:19:04 +0000".len(),
            "{date}"
        );
        assert!(date.ends_with(" +0000"), "{date}");
    }
    assert_eq!(system.get(&text(&made["uri"])).await.expect(200), made);

    let plain = system.number("+15550002223", &[]).await;
    assert_eq!(keys(&plain), keys(&made));
    assert_eq!(plain["sms_method"], "POST");
    assert_eq!(plain["sms_fallback_method"], "POST");
    assert_eq!(plain["inbound_webhook"], "unbound");
}

async fn a_number_is_once_ours(system: TestSystem) {
    let first = system.number(OURS, &[]).await;
    for carrier in ["simulator", "twilio"] {
        let form = [("PhoneNumber", OURS), ("Carrier", carrier)];
        let error = system.post(&numbers(), &form).await.expect(409);
        assert_eq!(error["status"], 409, "{error}");
    }
    let uri = text(&first["uri"]);
    assert_eq!(system.get(&uri).await.expect(200), first);
    system.delete(&uri).await.expect(204);
    let new = system.number(OURS, &[]).await;
    assert_ne!(new["sid"], first["sid"]);
}

async fn an_invalid_number_is_refused(system: TestSystem) {
    let (number, carrier) = (("PhoneNumber", OURS), ("Carrier", "simulator"));
    for form in [
        &[carrier][..],
        &[carrier, ("PhoneNumber", "")],
        &[carrier, ("PhoneNumber", "ours")],
        &[number, ("Carrier", "pigeon")],
        &[number, carrier, ("InboundWebhook", "sometimes")],
        &[number, carrier, ("SmsMethod", "PUT")],
        &[number, carrier, ("SmsUrl", "not a URL")],
        &[number, carrier, ("SmsFallbackUrl", "ftp://example.com/")],
    ] {
        let answer = system.post(&numbers(), form).await;
        assert_eq!(answer.status, 400, "{form:?}: {}", answer.text());
        assert_eq!(answer.json()["status"], 400, "{form:?}");
    }
    let page = system.get(&numbers()).await.expect(200);
    assert_eq!(page["incoming_phone_numbers"], json!([]));
}

async fn a_number_is_changed_and_deleted(system: TestSystem) {
    let mut expected = system.number(OURS, &[]).await;
    let uri = text(&expected["uri"]);
    for (parameter, key, value) in [
        ("SmsUrl", "sms_url", "https://example.com/new"),
        ("SmsMethod", "sms_method", "GET"),
        (
            "SmsFallbackUrl",
            "sms_fallback_url",
            "https://example.com/fallback",
        ),
        ("SmsFallbackMethod", "sms_fallback_method", "GET"),
        ("InboundWebhook", "inbound_webhook", "always"),
        ("FriendlyName", "friendly_name", "Support"),
        ("InboundWebhook", "inbound_webhook", "unbound"),
    ] {
        let updated = system.post(&uri, &[(parameter, value)]).await.expect(200);
        expected[key] = json!(value);
        expected["date_updated"] = updated["date_updated"].clone();
        assert_eq!(updated, expected);
        assert_eq!(system.get(&uri).await.expect(200), expected);
    }
    let form = [("SmsMethod", "PUT")];
    let answer = system.post(&uri, &form).await;
    assert_eq!(answer.expect(400)["status"], 400);

    system.delete(&uri).await.expect(204);
    system.get(&uri).await.expect_code(404, 20404);
    let form = [("SmsMethod", "GET")];
    system.post(&uri, &form).await.expect_code(404, 20404);
    system.delete(&uri).await.expect_code(404, 20404);
    let conversation = system.conversation(&[]).await;
    let answer = system.add_participant(&conversation, ADA, OURS).await;
    answer.expect_code(403, 50413);
}

async fn numbers_of_another_account_are_not_ours(system: TestSystem) {
    let made = system.number(OURS, &[]).await;
    let other = "AC99999999999999999999999999999999";
    for path in [
        numbers().replace(ACCOUNT, other),
        text(&made["uri"]).replace(ACCOUNT, other),
    ] {
        let answer = system.get(&path).await;
        assert!(answer.status.is_client_error(), "{}", answer.text());
        assert!(!answer.text().contains(OURS), "{}", answer.text());
        let form = [("PhoneNumber", "+15550002223"), ("Carrier", "simulator")];
        let answer = system.post(&path, &form).await;
        assert!(answer.status.is_client_error(), "{}", answer.text());
    }
}

async fn a_list_of_numbers_is_read_to_its_end(system: TestSystem) {
    let mut expected = Vec::new();
    for number in 0..7 {
        let number = format!("+1555000300{number}");
        expected.push(text(&system.number(&number, &[]).await["sid"]));
    }
    expected.sort();
    for size in [3, 7, 1, 50] {
        let mut sids = Vec::new();
        let mut next = Some(format!("{}?PageSize={size}", numbers()));
        for page_number in 0..10 {
            let Some(path) = next else {
                break;
            };
            let page = system.get(&path).await.expect(200);
            assert_eq!(
                keys(&page),
                [
                    "end",
                    "first_page_uri",
                    "incoming_phone_numbers",
                    "next_page_uri",
                    "page",
                    "page_size",
                    "previous_page_uri",
                    "start",
                    "uri",
                ]
            );
            assert_eq!(page["page"], page_number);
            assert_eq!(page["page_size"], size);
            let rows = page["incoming_phone_numbers"].as_array().expect("rows");
            sids.extend(rows.iter().map(|row| text(&row["sid"])));
            // A path on our host, as the API of that age has it.
            next = page["next_page_uri"].as_str().map(str::to_owned);
            if let Some(path) = &next {
                assert!(path.starts_with(&numbers()), "{path}");
            }
        }
        sids.sort();
        assert_eq!(sids, expected, "PageSize={size}");
    }
    for (number, count) in [("%2B15550003001", 1), ("%2B15550009999", 0)] {
        let page = system
            .get(&format!("{}?PhoneNumber={number}", numbers()))
            .await;
        let page = page.expect(200);
        let rows = page["incoming_phone_numbers"].as_array().map(Vec::len);
        assert_eq!(rows, Some(count), "{page}");
    }
}

async fn a_webhook_of_a_number_is_in_force_at_once(system: TestSystem) {
    let first = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let second = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let made = system.number(OURS, &[]).await;
    let uri = text(&made["uri"]);
    for (number, url, expected) in [
        (1, "", (0, 0)),
        (2, first.url().as_str(), (1, 0)),
        (3, second.url().as_str(), (1, 1)),
        (4, "", (1, 1)),
        (5, first.url().as_str(), (2, 1)),
    ] {
        system.post(&uri, &[("SmsUrl", url)]).await.expect(200);
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{}", answer.text());
        let calls = (first.received().len(), second.received().len());
        assert_eq!(calls, expected, "{number}");
    }
    system.delete(&uri).await.expect(204);
    system.message(&sid(6), ADA, OURS, "hello").await;
    assert_eq!(first.received().len(), 2);
}

async fn a_pre_action_webhook_is_in_force_at_once(system: TestSystem) {
    let first = Receiver::start(|_| Reply::new(200, "")).await;
    let second = Receiver::start(|_| Reply::new(200, "")).await;
    system.autocreation(OURS).await;
    for (number, url, expected) in [
        (1, "", (0, 0)),
        (2, first.url().as_str(), (1, 0)),
        (3, second.url().as_str(), (1, 1)),
        (4, "", (1, 1)),
        (5, first.url().as_str(), (2, 1)),
    ] {
        system.set_pre_webhook(url, &[]).await;
        system.message(&sid(number), ADA, OURS, "hello").await;
        let calls = (first.received().len(), second.received().len());
        assert_eq!(calls, expected, "{number}");
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await.len(), 5);
}
