//! The release binaries: how large they are, and how long each takes from its start to the first poll of the Runtime
//! API, beside a bare program.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::engine::{EngineKind, endpoint};
use crate::figures::percentile;
use crate::system::{ACCOUNT, TOKEN};

/// One binary.
#[derive(Clone, Debug)]
pub struct Binary {
    pub name: &'static str,
    pub megabytes: f64,
    /// The median from its start to its first poll.
    pub start: Duration,
    /// Of its start to that of the bare program.
    pub ratio: f64,
}

/// The bare program is the first.
pub const NAMES: [&str; 4] = ["bare", "inbound", "admin", "dispatch"];
/// Starts of each, in turns.
const STARTS: usize = 31;

/// Measures `target/release`, where each of [`NAMES`] was built by itself.
///
/// # Panics
/// If a binary is missing, or does not poll.
pub async fn measure() -> Vec<Binary> {
    let table = endpoint(EngineKind::Embedded).await;
    let mut samples: [Vec<Duration>; NAMES.len()] = Default::default();
    for _ in 0..STARTS {
        for (name, samples) in NAMES.iter().zip(&mut samples) {
            samples.push(start(name, &table).await);
        }
    }
    let medians = samples.map(|mut samples| percentile(&mut samples, 50));
    let binary = |(name, start): (&'static str, Duration)| {
        let size = std::fs::metadata(path(name)).expect("a binary").len();
        Binary {
            name,
            megabytes: size as f64 / 1e6,
            start,
            ratio: start.as_secs_f64() / medians[0].as_secs_f64(),
        }
    };
    NAMES.into_iter().zip(medians).map(binary).collect()
}

fn path(name: &str) -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
    root.join(name)
}

/// From the start of a process to its first request at the Runtime API.
async fn start(name: &str, table: &str) -> Duration {
    let api = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = api.local_addr().expect("an address").to_string();
    let began = Instant::now();
    let mut child: Child = Command::new(path(name))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "crosspoint")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_ENDPOINT_URL_DYNAMODB", table)
        .env("CROSSPOINT_ACCOUNT_SID", ACCOUNT)
        .env("CROSSPOINT_AUTH_TOKEN", TOKEN)
        .env("CROSSPOINT_PUBLIC_URL", "https://crosspoint.example")
        .env("CROSSPOINT_TABLE", "crosspoint")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", path(name).display()));
    let polled = async {
        let (mut stream, _) = api.accept().await.expect("a connection");
        let mut first = [0; 4];
        stream.read_exact(&mut first).await.expect("a request");
        assert_eq!(&first, b"GET ");
    };
    tokio::time::timeout(Duration::from_secs(30), polled)
        .await
        .unwrap_or_else(|_| panic!("{name} does not poll"));
    let took = began.elapsed();
    child.kill().await.expect("it was running");
    took
}
