//! Pages of lists that are long in bytes.

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::engine::EngineKind;
use tests::json::{only, text};
use tests::system::{ADA, OURS, PUBLIC_URL, TestSystem};

/// Lambda's limit on a response, which holds the body as a JSON string.
const LAMBDA_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Reads a list as Twilio's client libraries do, by its next page's URL; the rows of each page.
async fn pages(system: &TestSystem, path: &str, key: &str) -> Vec<Vec<Value>> {
    const PAGES_MAX: usize = 100;
    let mut pages = Vec::new();
    let mut next = Some(path.to_owned());
    for _ in 0..PAGES_MAX {
        let Some(path) = next else {
            return pages;
        };
        let response = system.get(&path).await;
        let handed_over =
            json!({"statusCode": 200, "body": response.text(), "isBase64Encoded": false});
        let bytes = handed_over.to_string().len();
        assert!(bytes < LAMBDA_BYTES_MAX, "a response has {bytes} bytes");
        let page = response.expect(200);
        pages.push(page[key].as_array().expect("rows").clone());
        next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
    }
    panic!("{path} has more than {PAGES_MAX} pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_long_messages_fits_into_a_response_and_the_next_page_follows() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    system.autocreation(OURS).await;
    let mut expected = Vec::new();
    for number in 0..110 {
        // One byte of each becomes 7, 4, 4 and 1 in the response.
        let kind = ["\u{1}", "\"", "\\", "x"][number % 4];
        let body = format!("{number} {}", kind.repeat(32 * 1024 - 8));
        let response = system.message(&sid(number as u64), ADA, OURS, &body).await;
        assert!(response.accepted(), "{}", response.text());
        expected.push(body);
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let list = format!("{PUBLIC_URL}/v1/Conversations/{conversation}/Messages?PageSize=1000");
    for (order, reversed) in [("asc", false), ("desc", true)] {
        let pages = pages(&system, &format!("{list}&Order={order}"), "messages").await;
        assert!(pages.len() > 2, "{} pages", pages.len());
        let rows = pages.iter().flatten();
        let mut bodies: Vec<_> = rows.map(|row| text(&row["body"])).collect();
        if reversed {
            bodies.reverse();
        }
        assert!(bodies == expected, "{order}: {} messages", bodies.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_long_conversations_fits_into_a_response_and_the_next_page_follows() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    // Attributes are JSON within JSON: three bytes of such a text become ten.
    let attributes = format!(r#"{{"a":"{}"}}"#, r#"\""#.repeat(8 * 1024 - 5));
    let mut expected = Vec::new();
    for number in 0..100 {
        let name = number.to_string();
        let form = [("FriendlyName", name.as_str()), ("Attributes", &attributes)];
        system.conversation(&form).await;
        expected.push(name);
    }
    let path = format!("{PUBLIC_URL}/v1/Conversations?PageSize=1000");
    let pages = pages(&system, &path, "conversations").await;
    assert!(pages.len() > 1, "{} pages", pages.len());
    let rows = pages.iter().flatten();
    let mut names: Vec<_> = rows.map(|row| text(&row["friendly_name"])).collect();
    // The newest comes first; those of one millisecond come in any order.
    names.sort_by_key(|name| name.parse::<u32>().expect("a number"));
    assert_eq!(names, expected);
}
