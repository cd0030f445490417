//! Which post-action webhook the entry of a message names.

use super::*;

#[test]
fn an_entry_names_the_post_action_webhook_in_force() {
    let post = |generation, since| PostWebhook {
        scope: SettingsScope::Account,
        generation,
        since,
    };
    // In the header, the generation in the settings (and whether there is a URL), in the entry.
    for (before, generation, set, expected) in [
        (None, 0, false, None),
        (None, 1, true, Some(post(1, 6))),
        (Some(post(1, 2)), 1, true, Some(post(1, 2))),
        (Some(post(1, 2)), 2, true, Some(post(2, 6))),
        (Some(post(1, 2)), 1, false, None),
    ] {
        assert_eq!(post_after(before, generation, set), expected);
    }
}

/// A writer that read the settings before the URL appeared comes after one that read them since. Were its entry to
/// name another webhook, or none, the next `since` would lie behind entries that the endpoint is owed: a missing
/// cursor starts at `since`.
#[test]
fn an_entry_never_names_an_older_post_action_webhook_than_the_one_before_it() {
    let post = Some(PostWebhook {
        scope: SettingsScope::Account,
        generation: 2,
        since: 4,
    });
    assert_eq!(post_after(post, 1, true), post);
    assert_eq!(post_after(post, 1, false), post);
}

/// The webhook in force changes its owner and its generation, and writers read old settings. However they follow each
/// other: an endpoint without a cursor begins at the first slot that it is owed, or before.
#[test]
fn an_endpoint_without_a_cursor_begins_before_all_that_it_is_owed() {
    let with_url = |webhooks: &Webhooks, set: bool| {
        let post = set.then(|| url("https://example.com/post"));
        webhooks.clone().with_urls(None, post)
    };
    for seed in 0..2_000_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        let mut history = vec![Case::bound().facts.settings];
        let mut log = vec![crate::entry(tail().header)];
        // A writer reads at least what the writer before it read, or reads at most four changes less.
        for _ in 0..12 {
            let mut settings = history.last().unwrap().clone();
            match below(3) {
                0 => {
                    let webhooks = &settings.account.webhooks;
                    settings.account.webhooks = with_url(webhooks, webhooks.post_url.is_none());
                }
                1 => {
                    let sid = ConversationServiceSid::DEFAULT;
                    let mut service = settings.service(sid).unwrap().unwrap().clone();
                    let set = !service.webhooks.has_url();
                    service.webhooks = with_url(&service.webhooks, set);
                    settings.insert(sid, Some(service));
                }
                _ => {}
            }
            history.push(settings);
            let mut case = Case::bound_to(log.last().unwrap().tail());
            let stale = usize::try_from(below(5)).unwrap().min(history.len() - 1);
            case.facts.settings = history[history.len() - 1 - stale].clone();
            log.push(appended(&writes(&case), conversation(1)).clone());
        }
        let last = log.last().unwrap().tail();
        let settings = history.pop().unwrap();
        let service = settings.service(ConversationServiceSid::DEFAULT);
        let service = service.unwrap().unwrap();
        for (scope, webhooks) in [
            (SettingsScope::Account, &settings.account.webhooks),
            (SettingsScope::Service, &service.webhooks),
        ] {
            let Some(endpoint) = Endpoint::of(scope, webhooks, &last) else {
                continue;
            };
            let owed = log
                .iter()
                .find(|entry| endpoint.is_owed(entry) == Owed::Yes);
            if let Some(first) = owed {
                assert!(endpoint.since <= first.slot, "seed {seed}: {scope:?}");
            }
        }
    }
}

fn post_after(before: Option<PostWebhook>, generation: u64, set: bool) -> Option<PostWebhook> {
    let mut case = Case::bound();
    let header = &mut case
        .facts
        .holder
        .as_mut()
        .unwrap()
        .tail
        .as_mut()
        .unwrap()
        .header;
    header.post = before;
    case.facts.settings.account.webhooks = Webhooks {
        post_url: set.then(|| url("https://example.com/post")),
        post_generation: generation,
        ..Webhooks::default()
    };
    appended(&writes(&case), conversation(1)).header.post
}
