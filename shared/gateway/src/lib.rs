//! The front door as Lambda sees it: API Gateway events become requests, and nothing in them can panic.
//!
//! `lambda_http` builds a request's URL from the event's Host header and path, and panics where that is no URL. We use
//! neither the Host header (links and signatures are about the configured public address) nor a path that is no
//! path, so both are defused before it sees them. A panic elsewhere is caught by the runtime: that invocation fails,
//! and the function lives on.

use http::header::HOST;
use http::uri::PathAndQuery;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Error, IntoResponse, Request, Service};
use lambda_runtime::{Diagnostic, LambdaEvent};
use tower::util::MapRequest;

/// Serves requests until the environment ends.
pub async fn run<'a, S, R, E>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = R, Error = E> + Send,
    S::Future: Send + 'a,
    R: IntoResponse,
    E: std::fmt::Debug + Into<Diagnostic>,
{
    let defused = |event: LambdaEvent<LambdaRequest>| LambdaEvent {
        payload: defuse(event.payload),
        ..event
    };
    lambda_runtime::run(MapRequest::new(Adapter::from(service), defused)).await
}

/// A path that no route has.
const NO_PATH: &str = "/unreadable-path";

fn defuse(mut request: LambdaRequest) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV2(event) = &mut request {
        event.headers.remove(HOST);
        event.request_context.domain_name = None;
        let path = event.raw_path.as_deref().unwrap_or_default();
        let query = event.raw_query_string.as_deref().unwrap_or_default();
        let readable =
            path.starts_with('/') && PathAndQuery::try_from(format!("{path}?{query}")).is_ok();
        if !readable {
            tracing::info!("a request's path or query can't be read");
            event.raw_path = Some(NO_PATH.to_owned());
            event.raw_query_string = None;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(host: &str, path: &str, query: &str) -> LambdaRequest {
        let event = serde_json::json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": {"host": host},
            "requestContext": {
                "accountId": "0", "apiId": "x", "domainName": host, "domainPrefix": "x", "requestId": "x",
                "routeKey": "$default", "stage": "$default", "time": "x", "timeEpoch": 0,
                "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "x", "userAgent": "x"}
            },
            "body": "a=b", "isBase64Encoded": false
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn no_host_and_no_path_can_stop_a_request() {
        for (host, path, query, seen) in [
            (
                "example.com",
                "/inbound/twilio",
                "a=b%20c",
                "/inbound/twilio?a=b%20c",
            ),
            ("a.execute-api.127.0.0.1:1", "/x", "", "/x"),
            ("{}<>\" ^", "/x", "", "/x"),
            ("", "/x", "", "/x"),
            ("example.com", "/a b{}", "", NO_PATH),
            ("example.com", "//[::1", "a", "//[::1?a"),
            ("example.com", "", "", NO_PATH),
            ("example.com", "x", "", NO_PATH),
            ("example.com", "/x", "\u{7f} <>", NO_PATH),
        ] {
            let request: Request = defuse(event(host, path, query)).into();
            assert_eq!(
                request.uri().path_and_query().unwrap().as_str(),
                seen,
                "{host:?} {path:?} {query:?}"
            );
        }
    }
}
