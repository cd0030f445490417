//! `/crosspoint/v1/Bindings` tells which conversation holds a pair now.

use std::time::Duration;

use serde_json::{Value, json};
use tests::json::{only, text};
use tests::system::{ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TestSystem};

on_both_engines!(
    a_binding_is_found_by_either_address_and_by_both,
    a_pair_that_is_free_has_no_binding,
    a_list_of_bindings_is_read_to_its_end,
);

on_the_embedded_engine!(an_invalid_address_of_a_binding_is_refused);

const BINDINGS: &str = "/crosspoint/v1/Bindings";
const OURS_TOO: &str = "+15550002223";

fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = value.replace('+', "%2B");
        format!("{name}={value}")
    });
    format!("{BINDINGS}?{}", pairs.collect::<Vec<_>>().join("&"))
}

async fn a_binding_is_found_by_either_address_and_by_both(system: TestSystem) {
    for number in [OURS, OURS_TOO] {
        system.number(number, &[]).await;
    }
    let (first, participant) = system.bind(ADA, OURS).await;
    let (second, _) = system.bind(ADA, OURS_TOO).await;
    let (third, _) = system.bind(BOB, OURS).await;
    let both = query(&[("Address", ADA), ("ProxyAddress", OURS)]);
    let found = only(system.list(&both).await);
    let conversation = system.fetch_conversation(&first).await;
    let service = text(&conversation["chat_service_sid"]);
    let url = format!("{PUBLIC_URL}/v1/Services/{service}/Conversations/{first}");
    let expected = json!({
        "account_sid": ACCOUNT,
        "address": ADA,
        "proxy_address": OURS,
        "conversation_sid": first,
        "participant_sid": participant,
        "chat_service_sid": service,
        "since": found["since"],
        "links": {
            "conversation": url,
            "participant": format!("{url}/Participants/{participant}"),
        },
    });
    assert_eq!(found, expected);
    for link in ["conversation", "participant"] {
        system.get(&text(&found["links"][link])).await.expect(200);
    }
    let holders = async |path: &str| {
        let rows = system.list(path).await;
        let mut holders: Vec<String> = rows
            .iter()
            .map(|row: &Value| text(&row["conversation_sid"]))
            .collect();
        holders.sort();
        holders
    };
    let sorted = |mut sids: Vec<String>| {
        sids.sort();
        sids
    };
    let of_ada = holders(&query(&[("Address", ADA)])).await;
    assert_eq!(of_ada, sorted(vec![first.clone(), second]));
    let of_ours = holders(&query(&[("ProxyAddress", OURS)])).await;
    assert_eq!(of_ours, sorted(vec![first, third]));
}

async fn a_pair_that_is_free_has_no_binding(system: TestSystem) {
    system.number(OURS, &[]).await;
    let both = query(&[("Address", ADA), ("ProxyAddress", OURS)]);
    let paths = [
        both,
        query(&[("Address", ADA)]),
        query(&[("ProxyAddress", OURS)]),
    ];
    let (conversation, _) = system.bind(ADA, OURS).await;
    let timer = [("Timers.Closed", "PT10M")];
    system
        .update_conversation(&conversation, &timer)
        .await
        .expect(200);
    for path in &paths {
        assert_eq!(system.list(path).await.len(), 1, "{path}");
    }
    // Past its closing time, though no timer has fired.
    system.advance(Duration::from_secs(601));
    for path in &paths {
        assert!(system.list(path).await.is_empty(), "{path}");
    }
    let (again, _) = system.bind(ADA, OURS).await;
    for path in &paths {
        assert_eq!(only(system.list(path).await)["conversation_sid"], again);
    }
    let closed = [("State", "closed")];
    system
        .update_conversation(&again, &closed)
        .await
        .expect(200);
    for path in &paths {
        assert!(system.list(path).await.is_empty(), "{path}");
    }
}

async fn a_list_of_bindings_is_read_to_its_end(system: TestSystem) {
    let ours: Vec<String> = (0..5).map(|n| format!("+1555000333{n}")).collect();
    for number in &ours {
        system.number(number, &[]).await;
        system.bind(ADA, number).await;
    }
    let theirs: Vec<String> = (0..5).map(|n| format!("+1555000444{n}")).collect();
    for address in &theirs {
        system.bind(address, &ours[0]).await;
    }
    let field = |rows: Vec<Value>, name: &str| {
        let values = rows.iter().map(|row| text(&row[name]));
        values.collect::<Vec<_>>()
    };
    let of_ada = query(&[("PageSize", "2"), ("Address", ADA)]);
    assert_eq!(field(system.list(&of_ada).await, "proxy_address"), ours);
    let of_ours = query(&[("PageSize", "2"), ("ProxyAddress", &ours[0])]);
    let mut expected = [vec![ADA.to_owned()], theirs].concat();
    expected.sort();
    assert_eq!(field(system.list(&of_ours).await, "address"), expected);
}

async fn an_invalid_address_of_a_binding_is_refused(system: TestSystem) {
    for (pairs, code) in [
        (&[][..], 20001),
        (&[("Address", "x")], 50407),
        (&[("ProxyAddress", "x")], 50408),
        (&[("Address", ADA), ("ProxyAddress", ADA)], 50409),
        (
            &[("Address", ADA), ("ProxyAddress", "whatsapp:+15550002222")],
            50414,
        ),
    ] {
        system.get(&query(pairs)).await.expect_code(400, code);
    }
}
