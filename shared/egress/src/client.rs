//! The HTTP client.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use crate::inside::{Allowed, InsideAddress};

/// Sends requests to outside addresses, and to those inside addresses that it was made with. Clones share connections.
#[derive(Clone)]
pub struct HttpClient {
    /// Made at the first request: it reads the system's certificates, and most messages cause no request.
    http: Arc<OnceLock<reqwest::Client>>,
    allowed: Allowed,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient").field(&self.allowed).finish()
    }
}

/// A request. A user and password in the URL become an `Authorization` header.
#[derive(Clone)]
pub struct HttpRequest {
    method: Method,
    url: String,
    basic: Option<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// The head of what the server answered, and its body in chunks.
#[derive(Debug)]
pub struct HttpReply(reqwest::Response);

/// Why there is no reply. No text has the URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("URL can't be called")]
    Url,
    #[error(transparent)]
    Inside(InsideAddress),
    #[error("connection failed")]
    NotConnected(#[source] reqwest::Error),
    /// The server may have received the request.
    #[error("connection broke")]
    Broken(#[source] reqwest::Error),
}

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// While Lambda freezes a function, servers close its connections. So the client keeps few of them, and not for long.
const IDLE_TIME_MAX: Duration = Duration::from_secs(5);

impl HttpClient {
    pub fn new(allowed: Allowed) -> HttpClient {
        HttpClient {
            http: Arc::default(),
            allowed,
        }
    }

    /// Sends once. The caller bounds the time of the whole, and the length of the reply.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpReply, SendError> {
        let url = reqwest::Url::parse(&request.url).map_err(|_| SendError::Url)?;
        if let Some(address) = literal_address(&url)
            && !self.allowed.permits(address)
        {
            return Err(SendError::Inside(InsideAddress(address)));
        }
        let mut builder = self.http().request(request.method, url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some((user, password)) = request.basic {
            builder = builder.basic_auth(user, Some(password));
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        builder.send().await.map(HttpReply).map_err(send_error)
    }

    fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(|| {
            let http = reqwest::Client::builder()
                .dns_resolver(OutsideAddresses(self.allowed.clone()))
                .no_proxy()
                .redirect(Policy::none())
                .connect_timeout(CONNECT_TIME_MAX)
                .pool_idle_timeout(IDLE_TIME_MAX)
                .user_agent(concat!("Crosspoint/", env!("CARGO_PKG_VERSION")))
                .build();
            http.expect("the TLS library has its defaults")
        })
    }
}

/// The address that the URL names in place of a host name. The URL library has put it into its usual form: `0x7f.1` is
/// 127.0.0.1.
fn literal_address(url: &reqwest::Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

/// Resolves a name as the system does, and leaves out the addresses that may not be called.
struct OutsideAddresses(Allowed);

impl Resolve for OutsideAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            // The client puts the URL's port in place of 0.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = permitted(&allowed, found)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn permitted(
    allowed: &Allowed,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, InsideAddress> {
    let (outside, inside): (Vec<_>, Vec<_>) =
        found.partition(|address| allowed.permits(address.ip()));
    match (&outside[..], &inside[..]) {
        ([], [first, ..]) => Err(InsideAddress(first.ip())),
        _ => Ok(outside),
    }
}

fn send_error(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    if let Some(inside) = inside_address(&error) {
        SendError::Inside(inside)
    } else if error.is_builder() {
        SendError::Url
    } else if error.is_connect() {
        SendError::NotConnected(error)
    } else {
        SendError::Broken(error)
    }
}

/// What [`OutsideAddresses`] refused, at the root of an error of the client.
fn inside_address(error: &reqwest::Error) -> Option<InsideAddress> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(inside) = error.downcast_ref() {
            return Some(*inside);
        }
        cause = error.source();
    }
    None
}

impl HttpRequest {
    pub fn get(url: impl Into<String>) -> HttpRequest {
        HttpRequest::new(Method::GET, url.into())
    }

    pub fn post(url: impl Into<String>) -> HttpRequest {
        HttpRequest::new(Method::POST, url.into())
    }

    fn new(method: Method, url: String) -> HttpRequest {
        HttpRequest {
            method,
            url,
            basic: None,
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> HttpRequest {
        self.headers.push((name, value.into()));
        self
    }

    pub fn basic_auth(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> HttpRequest {
        self.basic = Some((user.into(), password.into()));
        self
    }

    /// Parameters, already encoded.
    pub fn form(self, encoded: impl Into<String>) -> HttpRequest {
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let mut request = self.header("Content-Type", content_type);
        request.body = Some(encoded.into());
        request
    }
}

impl HttpReply {
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// A header's value; `None` also if it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// The next part of the body; `None`: the body is at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        let chunk = self.0.chunk().await;
        chunk.map_err(|error| SendError::Broken(error.without_url()))
    }
}

impl SendError {
    /// Whether the server surely did not receive the request.
    pub fn surely_not_sent(&self) -> bool {
        match self {
            SendError::Url | SendError::Inside(_) | SendError::NotConnected(_) => true,
            SendError::Broken(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use tokio::net::TcpListener;

    /// A server that leaves connections waiting, and its port.
    async fn server() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn get(client: &HttpClient, url: String) -> SendError {
        let sent = client.send(HttpRequest::get(url)).await;
        sent.expect_err("the server answers nothing")
    }

    #[tokio::test]
    async fn every_spelling_of_an_inside_address_is_refused_before_a_connection() {
        let (listener, port) = server().await;
        let client = HttpClient::new(Allowed::default());
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST",
            "user:password@localhost",
            "169.254.169.254",
            "[fd00:ec2::254]",
        ] {
            let error = get(&client, format!("http://{host}:{port}/")).await;
            assert!(matches!(error, SendError::Inside(_)), "{host}: {error:?}");
            assert!(error.surely_not_sent());
            assert!(!format!("{error:?} {error}").contains("password"));
        }
        // A connection would wait here.
        let accepted = listener.into_std().unwrap().accept();
        let kind = accepted.map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(ErrorKind::WouldBlock));
    }

    #[tokio::test]
    async fn a_listed_address_is_called_by_number_and_by_name() {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let (listener, port) = server().await;
            let client = HttpClient::new(Allowed::loopback());
            let url = format!("http://{host}:{port}/");
            tokio::select! {
                error = get(&client, url) => panic!("{host}: {error:?}"),
                accepted = listener.accept() => drop(accepted.unwrap()),
            }
        }
    }

    #[test]
    fn the_inside_addresses_of_a_name_are_left_out() {
        let addresses = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter()
                .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
                .collect()
        };
        let outside = ["8.8.8.8", "2001:4860:4860::8888"];
        for (found, expected) in [
            (
                &["8.8.8.8", "10.0.0.1", "2001:4860:4860::8888", "::1"][..],
                Some(&outside[..]),
            ),
            (&outside[..], Some(&outside[..])),
            (&[], Some(&[])),
            (&["10.0.0.1", "::1"], None),
        ] {
            let kept = permitted(&Allowed::default(), addresses(found).into_iter());
            assert_eq!(kept.ok(), expected.map(addresses), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_request_without_a_url_or_a_connection_is_surely_not_sent() {
        let (listener, port) = server().await;
        drop(listener);
        let client = HttpClient::new(Allowed::loopback());
        let dead = get(&client, format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(dead, SendError::NotConnected(_)), "{dead:?}");
        assert!(dead.surely_not_sent());
        for url in ["", "/x", "http://", "data:text/plain,x"] {
            let error = get(&client, url.to_owned()).await;
            assert!(error.surely_not_sent(), "{url}: {error:?}");
        }
        let (listener, port) = server().await;
        let hang_up = async {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        };
        let url = format!("http://127.0.0.1:{port}/");
        let (broken, ()) = tokio::join!(get(&client, url), hang_up);
        assert!(!broken.surely_not_sent(), "{broken:?}");
    }
}
