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
    case.facts.account.webhooks = Webhooks {
        post_url: set.then(|| url("https://example.com/post")),
        post_generation: generation,
        ..Webhooks::default()
    };
    appended(&writes(&case), conversation(1)).header.post
}
