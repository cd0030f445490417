//! Basic authentication with the account's SID and token, compared in constant time.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use routing::AccountSid;
use subtle::ConstantTimeEq;

use crate::Admin;
use crate::codes;
use crate::problem::Problem;

pub(crate) async fn authenticate(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.map_or(&b""[..], |value| value.as_bytes());
    match permits(header, admin.app.account, &admin.token) {
        true => Ok(next.run(request).await),
        false => Err(codes::AUTHENTICATE),
    }
}

/// Whether the value of an `Authorization` header opens the API.
fn permits(header: &[u8], account: AccountSid, token: &str) -> bool {
    let Some((user, password)) = credentials(header) else {
        return false;
    };
    // A SID means the same in both cases of its digits.
    let user = match user.split_at_checked(2) {
        Some((prefix, digits)) => [prefix, &digits.to_ascii_lowercase()].concat(),
        None => user,
    };
    let user_fits = account.to_string().as_bytes().ct_eq(&user);
    let password_fits = token.as_bytes().ct_eq(&password);
    (user_fits & password_fits).into()
}

fn credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, encoded) = header.split_at(space);
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some((user.to_vec(), password[1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sid_with_the_token_and_nothing_else_opens_the_api() {
        let account = AccountSid::from_bytes([0xab; 16]);
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let sid = account.to_string();
        for (value, expected) in [
            (header(&format!("{sid}:token")), true),
            (
                header(&format!("AC{}:token", "AB".repeat(16))).replace("Basic", "basic"),
                true,
            ),
            (header(&format!("{sid}:Token")), false),
            (header(&format!("{sid}:token2")), false),
            (header(&format!("{sid}:")), false),
            (header(&sid), false),
            (header(":token"), false),
            (header(&format!("{sid}2:token")), false),
            (header("AC:token"), false),
            (header("A:token"), false),
            (
                format!("Bearer {}", STANDARD.encode(format!("{sid}:token"))),
                false,
            ),
            ("Basic !".to_owned(), false),
            ("Basic".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(
                permits(value.as_bytes(), account, "token"),
                expected,
                "{value}"
            );
        }
    }
}
