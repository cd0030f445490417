//! The doors of all functions on one port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use admin::Admin;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use carriers::Receivers;
use inbound::{BODY_BYTES_MAX, Door};
use service::App;

use crate::simulator::{self, Simulator};
use crate::tasks::Tasks;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The functions' handlers behind one router. The simulator is added to the carriers in `receivers`; `app` sends by its
/// outbox, if the app has one. `tasks` get the work that a moved clock makes due.
pub fn router(app: App, token: String, receivers: Receivers, tasks: Tasks) -> Router {
    let receivers = Receivers {
        simulator: Some(app.account),
        ..receivers
    };
    let door = Arc::new(Door {
        app: app.clone(),
        receivers,
    });
    Router::new()
        .route("/inbound/{*carrier}", any(receive))
        .with_state(door)
        .merge(simulator::router(Simulator {
            app: app.clone(),
            tasks,
        }))
        .fallback_service(admin::router(Admin { app, token }))
}

async fn receive(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // One byte over the bound is enough to know that there are too many; the handler says so.
    let body = to_bytes(body, BODY_BYTES_MAX)
        .await
        .unwrap_or_else(|_| Bytes::from(vec![0; BODY_BYTES_MAX + 1]));
    let response = inbound::handle(&door, http::Request::from_parts(parts, body)).await;
    response.map(Body::from)
}

/// A router that is being served on loopback.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// How long requests that have begun may take when the stack ends.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Listens on a port of loopback; 0 is any free one.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

pub fn serve(listener: TcpListener, router: Router) -> io::Result<Served> {
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            // A dropped sender is a word to stop like any other.
            let _ = stopped.await;
        };
        axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
    });
    Ok(Served {
        address,
        stop,
        server,
    })
}

impl Served {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the requests that have begun, within a bound.
    pub async fn stop(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(STOP_WAIT_MAX, &mut self.server)
            .await
            .is_err()
        {
            self.server.abort();
            tracing::warn!(
                "requests were still under way after {} s; left them behind",
                STOP_WAIT_MAX.as_secs()
            );
        }
    }
}
