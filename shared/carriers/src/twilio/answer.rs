//! The response to Twilio: TwiML.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use crate::Reply;

/// TwiML that sends no message back. (Twilio reports a 200 with a body that is not XML as error 12300.)
const NO_MESSAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#;

const TWIML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");

/// The reply of the number's own webhook, byte for byte: Twilio carries it out. Without a reply, or with an empty one,
/// TwiML that does nothing.
pub(crate) fn answer(reply: Option<Reply>) -> Response<Bytes> {
    let Some(reply) = reply.filter(|reply| !reply.body.is_empty()) else {
        return response(
            StatusCode::OK,
            TWIML,
            Bytes::from_static(NO_MESSAGE.as_bytes()),
        );
    };
    // The content type came from elsewhere, and may be no header value.
    let content_type = reply
        .content_type
        .and_then(|text| HeaderValue::from_str(&text).ok())
        .unwrap_or(TWIML);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    response(status, content_type, reply.body.into())
}

fn response(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        reply: Option<(u16, Option<&str>, &str)>,
        status: u16,
        content_type: &str,
        body: &str,
    ) {
        let reply = reply.map(|(status, content_type, body)| Reply {
            status,
            content_type: content_type.map(str::to_owned),
            body: body.into(),
        });
        let response = answer(reply.clone());
        assert_eq!(response.status(), status, "{reply:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{reply:?}");
        assert_eq!(response.body(), body, "{reply:?}");
    }

    #[test]
    fn the_reply_is_passed_back_and_an_empty_one_is_twiml_that_does_nothing() {
        let twiml = "text/xml; charset=utf-8";
        check(None, 200, twiml, NO_MESSAGE);
        check(Some((204, None, "")), 200, twiml, NO_MESSAGE);
        check(
            Some((200, Some("text/xml"), "<a/>")),
            200,
            "text/xml",
            "<a/>",
        );
        check(Some((201, None, "<a/>")), 201, twiml, "<a/>");
        check(Some((200, Some("a\nb"), "<a/>")), 200, twiml, "<a/>");
    }
}
