//! The front door as Lambda sees it: an API Gateway event becomes a request, and no event can cause a panic.
//!
//! Two properties hold for every request that leaves this crate:
//!
//! - Its path is percent-encoded, without the path of the public URL, and without `.` and `..` segments. [`path`] says
//!   how the crate tells a decoded path from an encoded one.
//! - Its URL has no host. `lambda_http` builds the URL from the `Host` header, and panics if the result is not a URL.
//!   The functions do not need the header: links and signatures are made of the configured public URL.
//!
//! A panic elsewhere ends one invocation alone: the runtime catches it, and the function lives on.

mod path;

use http::header::HOST;
use http::uri::PathAndQuery;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Error, IntoResponse, Request, Service};
use lambda_runtime::{Diagnostic, LambdaEvent};
use tower::util::MapRequest;

use crate::path::{Spelling, encoded_path};

/// Serves requests until the environment ends. `public_path` is the path of the public URL, without a `/` at its end;
/// empty if the public URL has none.
pub async fn run<'a, S, R, E>(service: S, public_path: &str) -> Result<(), Error>
where
    S: Service<Request, Response = R, Error = E> + Send,
    S::Future: Send + 'a,
    R: IntoResponse,
    E: std::fmt::Debug + Into<Diagnostic>,
{
    let safe = |event: LambdaEvent<LambdaRequest>| LambdaEvent {
        payload: safe_event(event.payload, public_path),
        ..event
    };
    lambda_runtime::run(MapRequest::new(Adapter::from(service), safe)).await
}

/// The request that an event carries, as [`run`] hands it to the service.
pub fn request_of(event: LambdaRequest, public_path: &str) -> Request {
    safe_event(event, public_path).into()
}

/// A path that no route has.
const NO_PATH: &str = "/unreadable-path";

/// The event with the path that routes and names are read from. `lambda_http` makes a request of it without a panic.
fn safe_event(mut request: LambdaRequest, public_path: &str) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV2(event) = &mut request {
        let raw = event.raw_path.as_deref().unwrap_or_default();
        let path = encoded_path(raw, Spelling::of(&event.request_context), public_path);
        let query = event.raw_query_string.as_deref().unwrap_or_default();
        let readable = |path: &String| PathAndQuery::try_from(format!("{path}?{query}")).is_ok();
        event.raw_path = path.filter(readable);
        if event.raw_path.is_none() {
            tracing::info!(
                "a request's path or query can't be read; the request is answered as one without a route"
            );
            event.raw_path = Some(NO_PATH.to_owned());
            event.raw_query_string = None;
        }
        event.headers.remove(HOST);
        event.request_context.domain_name = None;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What API Gateway's HTTP API sends for payload format 2.0, by the captures of live events.
    fn http_api(path: &str) -> Value {
        let domain = "sjzepsqsu5.execute-api.us-west-2.amazonaws.com";
        event("sjzepsqsu5", domain, path)
    }

    fn event(api_id: &str, domain: &str, path: &str) -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": {"host": domain},
            "requestContext": {
                "accountId": "0", "apiId": api_id, "domainName": domain, "domainPrefix": "x", "requestId": "x",
                "routeKey": "$default", "stage": "$default", "time": "x", "timeEpoch": 0,
                "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "x", "userAgent": "x"}
            },
            "body": "a=b", "isBase64Encoded": false
        })
    }

    /// The path and query of the request that an event becomes.
    fn seen(event: Value, public_path: &str) -> String {
        let event = serde_json::from_value(event).unwrap();
        let request = request_of(event, public_path);
        request.uri().path_and_query().unwrap().to_string()
    }

    #[test]
    fn a_decoded_path_is_encoded_again() {
        for (decoded, encoded) in [
            ("/v1/Conversations", "/v1/Conversations"),
            ("/v1/Conversations/", "/v1/Conversations/"),
            ("/c/the one", "/c/the%20one"),
            ("/c/alice#2", "/c/alice%232"),
            ("/c/alice?2", "/c/alice%3F2"),
            ("/c/a%41", "/c/a%2541"),
            ("/c/100%", "/c/100%25"),
            ("/c/a/b", "/c/a/b"),
            ("/c/a\\b", "/c/a%5Cb"),
            ("/c/a\tb\n", "/c/a%09b%0A"),
            ("/c/λ世", "/c/%CE%BB%E4%B8%96"),
            ("/c/+1 (555)", "/c/+1%20(555)"),
            ("/c/whatsapp:+1555", "/c/whatsapp:+1555"),
            (
                "/c/-._~!$&'()*+,;=:@\"<>[]^`{|}",
                "/c/-._~!$&'()*+,;=:@%22%3C%3E%5B%5D%5E%60%7B%7C%7D",
            ),
            ("//x", "//x"),
        ] {
            assert_eq!(seen(http_api(decoded), ""), encoded, "{decoded:?}");
            for domain in ["api.example.com", "x.lambda-url.example.com"] {
                let own = event("sjzepsqsu5", domain, decoded);
                assert_eq!(
                    seen(own, ""),
                    encoded,
                    "{decoded:?} at a domain of the user's own, {domain}"
                );
            }
        }
    }

    #[test]
    fn an_encoded_path_stays_as_it_is() {
        let watch = |path: &str| {
            let mut event = event("", "localhost", path);
            event["requestContext"]["apiId"] = Value::Null;
            event["requestContext"]["accountId"] = Value::Null;
            event
        };
        let url = |path: &str| {
            let id = "2cxn22odiwguak4feg4jtt7cwm0ziblr";
            event(id, &format!("{id}.lambda-url.us-west-2.on.aws"), path)
        };
        for (path, expected) in [
            ("/c/the%20one", "/c/the%20one"),
            ("/c/alice%232", "/c/alice%232"),
            ("/c/alice%3F2", "/c/alice%3F2"),
            ("/c/a%2Fb", "/c/a%2Fb"),
            ("/c/a%2541", "/c/a%2541"),
            ("/c/%zz", "/c/%zz"),
            ("/c/%CE%BB", "/c/%CE%BB"),
            // No such byte stands in an encoded path; `lambda_http` would read the first of them as a separator.
            ("/c/a\\b", "/c/a%5Cb"),
            ("/c/a b", "/c/a%20b"),
        ] {
            assert_eq!(
                seen(watch(path), ""),
                expected,
                "cargo lambda watch: {path}"
            );
            assert_eq!(seen(url(path), ""), expected, "function URL: {path}");
        }
    }

    #[test]
    fn a_dot_segment_names_nothing() {
        for path in ["/c/.", "/c/..", "/c/../d", "/./c", "/c/CH1/../CH2"] {
            assert_eq!(seen(http_api(path), ""), NO_PATH, "{path}");
        }
        for path in ["/c/%2e", "/c/%2E%2e/d", "/c/.%2E", "/c/%2e.", "/c/.."] {
            let mut event = http_api(path);
            event["requestContext"]["apiId"] = Value::Null;
            assert_eq!(seen(event, ""), NO_PATH, "{path}");
        }
        assert_eq!(seen(http_api("/c/.../.a/a."), ""), "/c/.../.a/a.");
        assert_eq!(seen(http_api("/c/%2e%2e"), ""), "/c/%252e%252e");
    }

    #[test]
    fn the_path_of_the_public_url_is_taken_off_once() {
        for (path, expected) in [
            ("/messages/v1/Conversations", "/v1/Conversations"),
            ("/messages/messages/x", "/messages/x"),
            ("/messages", "/"),
            ("/messages/", "/"),
            ("/messagesX/y", "/messagesX/y"),
            ("/v1/Conversations/messages", "/v1/Conversations/messages"),
            ("/messages/../x", NO_PATH),
            ("/", "/"),
        ] {
            assert_eq!(seen(http_api(path), "/messages"), expected, "{path}");
        }
        for (path, expected) in [("/a/b/c", "/c"), ("/a/c", "/a/c"), ("/a/b/a/b/c", "/a/b/c")] {
            assert_eq!(seen(http_api(path), "/a/b"), expected, "{path}");
        }
    }

    #[test]
    fn no_host_and_no_path_can_stop_a_request() {
        for (host, path, query, expected) in [
            (
                "example.com",
                "/inbound/twilio",
                "a=b%20c",
                "/inbound/twilio?a=b%20c",
            ),
            ("a.execute-api.127.0.0.1:1", "/x", "", "/x"),
            ("{}<>\" ^", "/x", "", "/x"),
            ("", "/x", "", "/x"),
            ("example.com", "//[::1", "a", "//%5B::1?a"),
            ("example.com", "", "", NO_PATH),
            ("example.com", "x", "", NO_PATH),
            ("example.com", "/x", "\u{7f} <>", NO_PATH),
            ("example.com", &"/x".repeat(40_000), "", NO_PATH),
        ] {
            let mut event = event("x", host, path);
            event["rawQueryString"] = query.into();
            assert_eq!(seen(event, ""), expected, "{host:?} {path:?} {query:?}");
        }
    }
}
