//! Lists of conversations: pages, filters and order.

use super::*;

on_both_engines!(
    a_list_is_read_to_its_end_without_loss_or_duplicates,
    a_list_page_has_its_number_and_its_neighbours,
    a_list_page_survives_the_deletion_of_its_last_row,
    a_list_is_filtered_by_state,
    a_filter_follows_the_state_that_a_message_changes,
    a_list_is_filtered_by_the_day_of_creation,
    a_list_begins_with_the_newest,
);

on_the_embedded_engine!(
    a_page_size_over_the_maximum_is_the_maximum,
    an_invalid_page_is_refused,
    a_token_of_another_list_is_refused,
    a_token_shows_nothing_of_another_conversation,
);

async fn a_list_is_read_to_its_end_without_loss_or_duplicates(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..23 {
        expected.push(system.conversation(&[]).await);
    }
    expected.sort();
    // One page exactly, several with a rest, several without, one for each.
    for size in [23, 10, 5, 1, 24, 50] {
        let rows = system
            .list(&format!("/v1/Conversations?PageSize={size}"))
            .await;
        let mut sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
        sids.sort();
        assert_eq!(sids, expected, "PageSize={size}");
    }
}

async fn a_list_page_has_its_number_and_its_neighbours(system: TestSystem) {
    let empty = system.get(CONVERSATIONS).await.expect(200);
    assert_eq!(keys(&empty), ["conversations", "meta"]);
    assert_eq!(empty["conversations"], json!([]));
    assert_eq!(empty["meta"]["next_page_url"], Value::Null);
    assert_eq!(empty["meta"]["page_size"], 50);

    for _ in 0..5 {
        system.conversation(&[]).await;
    }
    let mut next = json!(format!("{PUBLIC_URL}/v1/Conversations?PageSize=2"));
    for (number, rows) in [(0, 2), (1, 2), (2, 1)] {
        let page = system.get(&text(&next)).await.expect(200);
        let meta = &page["meta"];
        assert_eq!(
            keys(meta),
            [
                "first_page_url",
                "key",
                "next_page_url",
                "page",
                "page_size",
                "previous_page_url",
                "url",
            ]
        );
        assert_eq!(page["conversations"].as_array().map(Vec::len), Some(rows));
        assert_eq!(meta["page"], number);
        assert_eq!(meta["page_size"], 2);
        assert_eq!(meta["key"], "conversations");
        for key in ["first_page_url", "url"] {
            let url = text(&meta[key]);
            let ours = format!("{PUBLIC_URL}/v1/Conversations?");
            assert!(url.starts_with(&ours), "{url}");
            assert!(url.contains("PageSize=2"), "{url}");
        }
        // A client that asks for the page again, or for the first one, gets it.
        let same = system.get(&text(&meta["url"])).await.expect(200);
        assert_eq!(same["conversations"], page["conversations"]);
        if number == 0 {
            assert_eq!(meta["previous_page_url"], Value::Null);
            let first = system.get(&text(&meta["first_page_url"])).await.expect(200);
            assert_eq!(first["conversations"], page["conversations"]);
        }
        next = meta["next_page_url"].clone();
    }
    assert_eq!(next, Value::Null);
}

async fn a_list_page_survives_the_deletion_of_its_last_row(system: TestSystem) {
    for _ in 0..6 {
        system.conversation(&[]).await;
    }
    let page = system.get("/v1/Conversations?PageSize=3").await.expect(200);
    let seen = page["conversations"].as_array().expect("rows").clone();
    let last = text(&seen[2]["sid"]);
    let path = format!("/v1/Conversations/{last}");
    system.delete(&path).await.expect(204);
    let rest = system.list(&text(&page["meta"]["next_page_url"])).await;
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|row| !seen.contains(row)));
}

async fn a_page_size_over_the_maximum_is_the_maximum(system: TestSystem) {
    system.conversation(&[]).await;
    let page = system.get("/v1/Conversations?PageSize=1000").await;
    let page = page.expect(200);
    assert_eq!(page["meta"]["page_size"], 100);
    assert_eq!(page["conversations"].as_array().map(Vec::len), Some(1));
}

async fn an_invalid_page_is_refused(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    for (query, code) in [
        ("Page=one", 19036),
        ("Page=1.5", 19036),
        ("Page=-1", 19038),
        ("Page=1&PageToken=rubbish", 21481),
        ("Page=1&PageToken=%00%C3%A9", 21481),
        (
            "Page=1&PageToken=PTCH00000000000000000000000000000000",
            21481,
        ),
    ] {
        for list in [
            CONVERSATIONS.to_owned(),
            format!("/v1/Conversations/{conversation}/Messages"),
            format!("/v1/Conversations/{conversation}/Participants"),
            "/v1/Configuration/Addresses".to_owned(),
            "/v1/ParticipantConversations?Identity=carol".to_owned(),
            format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"),
        ] {
            let joint = if list.contains('?') { '&' } else { '?' };
            let answer = system.get(&format!("{list}{joint}{query}")).await;
            answer.expect_code(400, code);
        }
    }
}

async fn a_token_of_another_list_is_refused(system: TestSystem) {
    let mut conversations = Vec::new();
    for _ in 0..3 {
        let conversation = system.conversation(&[]).await;
        let messages = format!("/v1/Conversations/{conversation}/Messages");
        for body in ["one", "two"] {
            system.post(&messages, &[("Body", body)]).await.expect(201);
        }
        conversations.push(conversation);
    }
    let messages = format!("/v1/Conversations/{}/Messages", conversations[0]);
    let page = system.get(&format!("{messages}?PageSize=1")).await;
    let next = text(&page.expect(200)["meta"]["next_page_url"]);
    let (_, query) = next.split_once('?').expect("a query");
    let answer = system.get(&format!("/v1/Conversations?{query}")).await;
    answer.expect_code(400, 21481);
    // Nor is a token that a client made up: these are `zzz` and `0`.
    for token in ["enp6", "MA"] {
        let query = format!("Page=1&PageToken={token}");
        let answer = system.get(&format!("/v1/Conversations?{query}")).await;
        answer.expect_code(400, 21481);
    }
}

async fn a_token_shows_nothing_of_another_conversation(system: TestSystem) {
    let mut lists = Vec::new();
    for owner in ["first", "second"] {
        let conversation = system.conversation(&[]).await;
        let one = format!("/v1/Conversations/{conversation}");
        for number in 0..3 {
            let name = format!("{owner}-{number}");
            let form = [("Identity", name.as_str()), ("Body", &name)];
            for list in ["Participants", "Messages"] {
                let list = format!("{one}/{list}");
                system.post(&list, &form).await.expect(201);
            }
        }
        lists.push(one);
    }
    for list in ["Participants", "Messages"] {
        let page = system.get(&format!("{}/{list}?PageSize=1", lists[0])).await;
        let next = text(&page.expect(200)["meta"]["next_page_url"]);
        let answer = system.get(&next.replace(&lists[0], &lists[1])).await;
        // Refused, or a page of the list that was asked for.
        assert!(!answer.status.is_server_error(), "{}", answer.text());
        assert!(!answer.text().contains("first-"), "{}", answer.text());
    }
}

async fn a_list_is_filtered_by_state(system: TestSystem) {
    let mut expected = Vec::new();
    for number in 0..9 {
        let sid = system.conversation(&[]).await;
        let state = ["active", "inactive", "closed"][number % 3];
        system
            .update_conversation(&sid, &[("State", state)])
            .await
            .expect(200);
        expected.push((state, sid));
    }
    for state in ["active", "inactive", "closed"] {
        let mut expected: Vec<_> = expected.iter().filter(|row| row.0 == state).collect();
        expected.sort();
        for size in [2, 50] {
            let path = format!("/v1/Conversations?State={state}&PageSize={size}");
            let mut rows: Vec<_> = system.list(&path).await;
            rows.sort_by_key(|row| text(&row["sid"]));
            let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
            let expected: Vec<_> = expected.iter().map(|row| row.1.clone()).collect();
            assert_eq!(sids, expected, "{state}");
            assert!(rows.iter().all(|row| row["state"] == state));
        }
    }
    let answer = system.get("/v1/Conversations?State=open").await;
    assert_eq!(answer.expect(400)["status"], 400);
}

async fn a_filter_follows_the_state_that_a_message_changes(system: TestSystem) {
    system.autocreation(OURS).await;
    let listed = async |state: &str| -> Vec<String> {
        let rows = system
            .list(&format!("/v1/Conversations?State={state}"))
            .await;
        assert!(rows.iter().all(|row| row["state"] == state), "{rows:#?}");
        rows.iter().map(|row| text(&row["sid"])).collect()
    };
    let old = system.conversation(&[("State", "inactive")]).await;
    system.add_participant(&old, ADA, OURS).await.expect(201);
    system
        .update_conversation(&old, &[("State", "inactive")])
        .await
        .expect(200);
    assert_eq!(listed("inactive").await, [old.as_str()]);
    system.message(&sid(1), ADA, OURS, "one").await;
    assert_eq!(listed("active").await, [old.as_str()]);
    assert_eq!(listed("inactive").await.len(), 0);

    let timer = [("Timers.Closed", "PT10M")];
    system.update_conversation(&old, &timer).await.expect(200);
    system.advance(Duration::from_secs(10 * 60 + 1));
    system.message(&sid(2), ADA, OURS, "two").await;
    assert_eq!(listed("closed").await, [old.as_str()]);
    let active = listed("active").await;
    assert_eq!(active.len(), 1);
    assert_ne!(active[0], old);
}

async fn a_list_is_filtered_by_the_day_of_creation(system: TestSystem) {
    let mut days = Vec::new();
    for _ in 0..3 {
        let made = system.post(CONVERSATIONS, &[]).await.expect(201);
        let day = text(&made["date_created"])[..10].to_owned();
        days.push((day, text(&made["sid"])));
        system.advance(Duration::from_secs(24 * 60 * 60));
    }
    let [(first_day, first), (second_day, second), (third_day, third)] = &days[..] else {
        panic!("three days");
    };
    for (start, end, expected) in [
        (Some(first_day), None, vec![third, second, first]),
        (Some(second_day), None, vec![third, second]),
        (Some(third_day), None, vec![third]),
        (None, Some(first_day), vec![first]),
        (None, Some(second_day), vec![second, first]),
        (Some(second_day), Some(second_day), vec![second]),
        (Some(third_day), Some(first_day), vec![]),
    ] {
        let mut path = "/v1/Conversations?PageSize=1".to_owned();
        if let Some(day) = start {
            path += &format!("&StartDate={day}T00:00:00Z");
        }
        if let Some(day) = end {
            path += &format!("&EndDate={day}T23:59:59Z");
        }
        let rows = system.list(&path).await;
        let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(sids, expected, "{path}");
    }
    for query in ["StartDate=yesterday", "EndDate=31.12.2025"] {
        let answer = system.get(&format!("/v1/Conversations?{query}")).await;
        assert_eq!(answer.expect(400)["status"], 400, "{query}");
    }
}

async fn a_list_begins_with_the_newest(system: TestSystem) {
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, system.conversation(&[]).await);
        system.advance(Duration::from_secs(1));
    }
    let rows = system.list("/v1/Conversations?PageSize=2").await;
    let sids: Vec<_> = rows.iter().map(|row| text(&row["sid"])).collect();
    assert_eq!(sids, expected);
}
