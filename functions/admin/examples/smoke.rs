use admin::{Admin, router};
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use http_body_util::BodyExt;
use service::{App, Caller, Clock, PublicUrl};
use std::io::BufRead;
use store::Store;
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    lambda_http::tracing::init_default_subscriber();
    let store = Store::new(
        Store::client(store::engine_config(url)),
        format!("smoke{}", std::process::id()),
    );
    store.create_table().await.unwrap();
    let account = routing::AccountSid::from_bytes([0; 16]);
    let app = App {
        store,
        caller: Caller::new("token"),
        clock: Clock::default(),
        account,
        public_url: PublicUrl::parse("http://public.example/base").unwrap(),
    };
    let router = router(Admin {
        app,
        token: "token".into(),
    });
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{account}:token"));
    let mut vars: Vec<(String, String)> = vec![("AC".into(), account.to_string())];
    for line in std::io::stdin().lock().lines() {
        let mut line = line.unwrap();
        if line.trim().is_empty() || line.starts_with('#') {
            println!("{line}");
            continue;
        }
        for (k, v) in &vars {
            line = line.replace(&format!("${k}$"), v);
        }
        let mut parts = line.splitn(3, ' ');
        let (method, path) = (
            parts.next().unwrap().to_owned(),
            parts.next().unwrap().to_owned(),
        );
        let mut rest = parts.next().unwrap_or("").to_owned();
        let mut save = None;
        if let Some((a, b)) = rest.clone().split_once(" > ") {
            rest = a.to_owned();
            save = Some(b.to_owned());
        }
        let mut b = Request::builder().method(method.as_str()).uri(&path);
        if !rest.starts_with('!') {
            b = b.header("Authorization", format!("Basic {auth}"));
        }
        if !rest.starts_with("@") {
            b = b.header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            );
        }
        if let Some(r) = rest.clone().strip_prefix('^') {
            rest = r.to_owned();
            b = b.header("x-twilio-webhook-enabled", "True");
        }
        if rest.starts_with("@big") {
            rest = "a".repeat(2_000_000);
        }
        let r = router
            .clone()
            .oneshot(b.body(Body::from(rest.clone())).unwrap())
            .await
            .unwrap();
        let (p, body) = r.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        println!(
            ">> {method} {path} {}\n<< {} {:?}\n   {body}",
            &rest[..rest.len().min(200)],
            p.status,
            p.headers
        );
        if let Some(s) = save {
            let (k, f) = s.split_once('=').unwrap();
            let v: serde_json::Value = serde_json::from_str(&body).unwrap();
            vars.push((k.into(), v[f].as_str().unwrap().into()));
        }
    }
}
