//! Lambda: the REST API.
//!
//! Paths, form parameters, JSON bodies, pages and errors are those of Twilio's Conversations API. A handler reads its
//! parameters into a wish, calls a use case of [`service`], and shows the result. It decides nothing.
//!
//! The API refuses a request without the token, a parameter outside its limits, and a parameter of Twilio's that
//! Crosspoint does not have yet.
//!
//! The cast: [`authentication`] checks the token, [`request`] and [`parameters`] read, [`paging`] makes pages, [`codes`]
//! holds every [`problem`], [`response`] writes and logs. Every other file is one resource, or one of its formats.

mod addresses;
mod authentication;
mod auto_creation;
mod bindings;
mod codes;
mod configuration;
mod conversation_services;
mod conversations;
mod date;
mod messages;
mod messaging_services;
mod named_services;
mod numbers;
mod paging;
mod parameters;
mod participant_conversations;
mod participants;
mod phone;
mod pools;
mod problem;
mod request;
mod response;
mod service_configuration;
pub mod timer;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use crate::response::Success;

/// What the API needs to serve requests.
#[derive(Clone)]
pub struct Admin {
    pub app: service::App,
    /// Opens the API, together with the account's SID.
    pub token: String,
}

/// The whole API.
pub fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let of_account = Router::new()
        .route("/crosspoint/v1/Bindings", get(bindings::list))
        .route(
            "/v1/Services",
            get(conversation_services::list).post(conversation_services::create),
        )
        .route(
            "/v1/Services/{ChatServiceSid}",
            get(conversation_services::fetch),
        )
        .route(
            "/v1/Configuration",
            get(configuration::fetch).post(configuration::update),
        )
        .route(
            "/v1/Configuration/Webhooks",
            get(webhooks::fetch).post(webhooks::update),
        )
        .route(
            "/v1/Configuration/Addresses",
            get(addresses::list).post(addresses::create),
        )
        .route(
            "/v1/Configuration/Addresses/{Sid}",
            get(addresses::fetch)
                .post(addresses::update)
                .delete(addresses::delete),
        )
        .route(
            "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json",
            get(numbers::list).post(numbers::create),
        )
        .route(
            "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{File}",
            get(numbers::fetch)
                .post(numbers::update)
                .delete(numbers::delete),
        );
    let api = of_account
        .nest("/messaging/v1/Services", services_of_messaging())
        .nest("/v1", conversations_of_service())
        .nest(
            "/v1/Services/{ChatServiceSid}",
            conversations_of_service().merge(configuration_of_service()),
        )
        .fallback(async || codes::NOT_FOUND)
        .method_not_allowed_fallback(async || codes::METHOD_NOT_ALLOWED)
        .layer(from_fn_with_state(
            admin.clone(),
            authentication::authenticate,
        ));
    let open = Router::new()
        .route("/healthz", get(healthz))
        .method_not_allowed_fallback(async || codes::METHOD_NOT_ALLOWED);
    with_json_problems(open.merge(api)).with_state(admin)
}

/// The resources that belong to one conversation service. Their paths begin with the service, or act on the default one.
fn conversations_of_service() -> Router<Arc<Admin>> {
    Router::new()
        .route(
            "/Conversations",
            get(conversations::list).post(conversations::create),
        )
        .route(
            "/Conversations/{ConversationSid}",
            get(conversations::fetch)
                .post(conversations::update)
                .delete(conversations::delete),
        )
        .route(
            "/Conversations/{ConversationSid}/Participants",
            get(participants::list).post(participants::create),
        )
        .route(
            "/Conversations/{ConversationSid}/Participants/{Sid}",
            get(participants::fetch)
                .post(participants::update)
                .delete(participants::delete),
        )
        .route(
            "/Conversations/{ConversationSid}/Messages",
            get(messages::list).post(messages::create),
        )
        .route(
            "/Conversations/{ConversationSid}/Messages/{Sid}",
            get(messages::fetch)
                .post(messages::update)
                .delete(messages::delete),
        )
        .route(
            "/ParticipantConversations",
            get(participant_conversations::list),
        )
}

/// The settings of one conversation service.
fn configuration_of_service() -> Router<Arc<Admin>> {
    Router::new()
        .route(
            "/Configuration",
            get(service_configuration::fetch).post(service_configuration::update),
        )
        .route(
            "/Configuration/Webhooks",
            get(webhooks::fetch_of_service).post(webhooks::update_of_service),
        )
}

/// The messaging services and their sender pools.
fn services_of_messaging() -> Router<Arc<Admin>> {
    Router::new()
        .route(
            "/",
            get(messaging_services::list).post(messaging_services::create),
        )
        .route(
            "/{ServiceSid}",
            get(messaging_services::fetch)
                .post(messaging_services::update)
                .delete(messaging_services::delete),
        )
        .route(
            "/{ServiceSid}/PhoneNumbers",
            get(pools::list_phone_numbers).post(pools::create_phone_number),
        )
        .route(
            "/{ServiceSid}/PhoneNumbers/{Sid}",
            get(pools::fetch_phone_number).delete(pools::delete_phone_number),
        )
        .route(
            "/{ServiceSid}/ShortCodes",
            get(pools::list_short_codes).post(pools::create_short_code),
        )
        .route(
            "/{ServiceSid}/ShortCodes/{Sid}",
            get(pools::fetch_short_code).delete(pools::delete_short_code),
        )
        .route(
            "/{ServiceSid}/AlphaSenders",
            get(pools::list_alpha_senders).post(pools::create_alpha_sender),
        )
        .route(
            "/{ServiceSid}/AlphaSenders/{Sid}",
            get(pools::fetch_alpha_sender).delete(pools::delete_alpha_sender),
        )
}

/// The router with layers that write and log every problem, also that of a panic.
fn with_json_problems(router: Router<Arc<Admin>>) -> Router<Arc<Admin>> {
    router
        .layer(CatchPanicLayer::custom(response::panic_response))
        .layer(from_fn(response::write_problems))
}

async fn healthz() -> Success {
    Success::Ok(json!({"status": "ok"}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{HeaderMap, Request};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http_body_util::BodyExt;
    use routing::AccountSid;
    use serde_json::Value;
    use service::{Allowed, App, Caller, Clock, PublicUrl};
    use store::{Store, engine_config};
    use tower::ServiceExt;

    /// An API whose table is out of reach.
    fn admin() -> Admin {
        let client = Store::client(engine_config("http://127.0.0.1:1"));
        Admin {
            app: App {
                store: Store::new(client, "none"),
                caller: Caller::new("token", Allowed::default()),
                clock: Clock::default(),
                account: AccountSid::from_bytes([0; 16]),
                public_url: PublicUrl::parse("http://public.example").unwrap(),
                senders: Default::default(),
            },
            token: "token".to_owned(),
        }
    }

    async fn send(router: Router, request: Request<Body>) -> (u16, Value, HeaderMap) {
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        (parts.status.as_u16(), body, parts.headers)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_malformed_request_is_refused_before_the_table_is_read() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let list = "/v1/Conversations";
        let large = "a".repeat(request::BODY_BYTES_MAX + 1);
        let many = "a=1&".repeat(carriers::PARAMETERS_MAX + 1);
        for (method, path, content_type, body, status, code) in [
            ("GET", "/v1/Services/IS0", "", "", 404, 20404),
            ("GET", "/", "", "", 404, 20404),
            ("GET", "/v1/Conversations/", "", "", 404, 20404),
            ("GET", "/v1/Conversations/%ff", "", "", 404, 20404),
            ("PUT", list, "", "", 405, 20004),
            ("POST", "/v1/ParticipantConversations", "", "", 405, 20004),
            ("POST", list, "application/json", "{}", 415, 20001),
            ("POST", list, "", "a=1", 415, 20001),
            ("POST", list, form, &large, 413, 20001),
            ("POST", list, form, &many, 400, 20001),
            ("POST", list, form, "FriendlyName=%ff", 400, 20001),
            ("POST", list, form, "State=open", 400, 50378),
            ("GET", "/v1/Conversations?Page=-1", "", "", 400, 19038),
            ("GET", "/v1/Conversations?PageToken=!", "", "", 400, 21481),
        ] {
            let credentials = STANDARD.encode(format!("AC{}:token", "0".repeat(32)));
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("Authorization", format!("Basic {credentials}"))
                .header("Content-Type", content_type)
                .body(Body::from(body.to_owned()));
            let (found, body, _) = send(router(admin()), request.unwrap()).await;
            assert_eq!(found, status, "{method} {path} {body}");
            assert_eq!(body["code"], code, "{method} {path}");
            assert_eq!(body["status"], status, "{method} {path}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_the_health_check_is_open() {
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let (status, body, _) = send(router(admin()), get("/healthz")).await;
        assert_eq!((status, body), (200, json!({"status": "ok"})));
        for path in ["/v1/Conversations", "/nowhere", "/"] {
            let (status, body, headers) = send(router(admin()), get(path)).await;
            assert_eq!((status, &body["code"]), (401, &json!(20003)), "{path}");
            assert_eq!(headers["WWW-Authenticate"], "Basic realm=\"Crosspoint\"");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_is_answered_with_json() {
        let panics = get(async || -> Success { panic!("on purpose") });
        let router = with_json_problems(Router::new().route("/panic", panics));
        let router = router.with_state(Arc::new(admin()));
        let request = Request::get("/panic").body(Body::empty()).unwrap();
        let (status, body, _) = send(router, request).await;
        assert_eq!((status, &body["code"]), (500, &json!(20500)));
        assert_eq!(body["message"], "Internal server error");
    }
}
