//! The two DynamoDBs that the tests run on: AWS's own DynamoDB Local, and the embedded engine of the local stack.
//!
//! Each is started once for a test process, when the first test asks, and ends with the process. Tests share it: each
//! test has a table with a name of its own. No test is skipped: a missing program fails every test that needs it, and the
//! message says what to install. The first run downloads DynamoDB Local (48 MB) through Maven into `target/`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Which DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// DynamoDB Local, a Java program; or the engine that `CROSSPOINT_TEST_DYNAMODB_ENDPOINT` names.
    DynamoDbLocal,
    /// `local::engine`, in memory, in this process.
    Embedded,
}

/// The URL of this process's engine of that kind, which answers requests by now.
/// Any region will do, and any credentials of letters and digits.
///
/// # Panics
/// If the engine cannot be had; the message says what is missing and how to install it.
pub async fn endpoint(kind: EngineKind) -> String {
    static DYNAMODB_LOCAL: OnceLock<Result<String, String>> = OnceLock::new();
    static EMBEDDED: OnceLock<Result<String, String>> = OnceLock::new();
    // Starting waits, and so do the other tests that ask meanwhile: not on a thread of their runtimes.
    let started = tokio::task::spawn_blocking(move || match kind {
        EngineKind::DynamoDbLocal => DYNAMODB_LOCAL.get_or_init(dynamodb_local_endpoint),
        EngineKind::Embedded => EMBEDDED.get_or_init(start_embedded),
    })
    .await
    .expect("starting an engine returns its failures");
    match started {
        Ok(endpoint_url) => endpoint_url.clone(),
        Err(reason) => panic!("no {kind:?} engine to test with: {reason}"),
    }
}

/// Names a DynamoDB that runs already.
const ENDPOINT_VARIABLE: &str = "CROSSPOINT_TEST_DYNAMODB_ENDPOINT";

/// The one place that says which version.
const POM: &str = include_str!("../dynamodb-local/pom.xml");

/// A second or two on an idle machine; a busy one with two cores takes its time.
const START_WAIT_MAX: Duration = Duration::from_secs(120);

const JAVA_MISSING: &str = "DynamoDB Local needs a Java development kit, 17 or newer, as `java` \
     (Debian: apt-get install default-jdk-headless)";
const MAVEN_MISSING: &str = "DynamoDB Local is downloaded by Maven, as `mvn`, which needs network access the first \
     time (Debian: apt-get install maven)";

fn start_embedded() -> Result<String, String> {
    let (started, address) = mpsc::channel();
    // A thread and a runtime of its own: the runtime of the test that asks first ends with that test.
    thread::spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return started.send(Err(error.to_string())),
        };
        runtime.block_on(async {
            let engine = match local::engine::Engine::in_memory() {
                Ok(engine) => engine.serve().await,
                Err(error) => Err(error),
            };
            match engine {
                Ok(engine) => {
                    started.send(Ok(engine.endpoint_url()))?;
                    std::future::pending().await
                }
                Err(error) => started.send(Err(format!("failed to {}", chain(&error)))),
            }
        })
    });
    address
        .recv()
        .expect("the thread answers before it ends, and panics never")
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn dynamodb_local_endpoint() -> Result<String, String> {
    match std::env::var(ENDPOINT_VARIABLE) {
        Ok(endpoint_url) => Ok(endpoint_url),
        Err(_) => {
            let installation = Installation::complete()?;
            installation.start()
        }
    }
}

/// DynamoDB Local's jars under `target/`, and all that belongs to them.
struct Installation {
    lib: PathBuf,
    log: PathBuf,
}

impl Installation {
    /// Downloads it unless it is there. Of two processes that ask at once, one downloads and the other waits.
    fn complete() -> Result<Self, String> {
        let version = POM
            .split_once("<dynamodb-local.version>")
            .and_then(|(_, rest)| rest.split_once('<'))
            .map(|(version, _)| version)
            .ok_or("pom.xml has no property dynamodb-local.version")?;
        let home = tests_dir().join("../target/dynamodb-local").join(version);
        let installation = Self {
            lib: home.join("lib"),
            log: home.join("serve.log"),
        };
        fs::create_dir_all(&home).map_err(|error| refused("create", &home, &error))?;
        let lock_path = home.join("lock");
        let lock =
            File::create(&lock_path).map_err(|error| refused("create", &lock_path, &error))?;
        lock.lock()
            .map_err(|error| refused("lock", &lock_path, &error))?;

        // Written last, so that a download cut short counts as none.
        let marker = home.join("downloaded-for.xml");
        let jar = installation
            .lib
            .join(format!("DynamoDBLocal-{version}.jar"));
        if fs::read_to_string(&marker).is_ok_and(|pom| pom == POM) && jar.is_file() {
            return Ok(installation);
        }
        installation.download()?;
        if !jar.is_file() {
            return Err(format!("Maven succeeded, but brought no {}", jar.display()));
        }
        fs::write(&marker, POM).map_err(|error| refused("write", &marker, &error))?;
        Ok(installation)
    }

    fn download(&self) -> Result<(), String> {
        match fs::remove_dir_all(&self.lib) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refused("remove", &self.lib, &error));
            }
            _ => {}
        }
        let output = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(tests_dir().join("dynamodb-local/pom.xml"))
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", self.lib.display()))
            .arg("-DincludeScope=runtime")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("failed to run mvn: {error}. {MAVEN_MISSING}"))?;
        if !output.status.success() {
            return Err(format!(
                "mvn ended with {}. {MAVEN_MISSING}. It said:\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            ));
        }
        Ok(())
    }

    /// Starts the server and answers its URL. It ends when its standard input does, so with this process.
    fn start(&self) -> Result<String, String> {
        static STDIN: OnceLock<ChildStdin> = OnceLock::new();
        let log = File::create(&self.log).map_err(|error| refused("create", &self.log, &error))?;
        let mut java = Command::new("java")
            // The quickest to start and the smallest, which is what a test wants.
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.lib.join("*"))
            .arg(tests_dir().join("dynamodb-local/Serve.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("failed to run java: {error}. {JAVA_MISSING}"))?;
        let stdin = java.stdin.take().expect("it was piped");
        let port = port_of(&mut java).map_err(|reason| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            format!("{reason}. {JAVA_MISSING}. It said:\n{log}")
        });
        match port {
            Ok(port) => {
                // The end of the process closes it.
                STDIN.set(stdin).expect("the engine is started once");
                Ok(format!("http://127.0.0.1:{port}"))
            }
            Err(reason) => {
                // Refused only if it has ended.
                let _ = java.kill();
                let _ = java.wait();
                Err(reason)
            }
        }
    }
}

/// Waits for the one line that `Serve.java` prints.
fn port_of(java: &mut Child) -> Result<u16, String> {
    let stdout = java.stdout.take().expect("it was piped");
    let (read, line) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let result = BufReader::new(stdout).read_line(&mut line).map(|_| line);
        // The receiver is gone if the line came too late.
        let _ = read.send(result);
    });
    let line = line
        .recv_timeout(START_WAIT_MAX)
        .map_err(|_| format!("java did not start DynamoDB Local in {START_WAIT_MAX:?}"))?
        .map_err(|error| format!("failed to read from java: {error}"))?;
    line.trim()
        .parse()
        .map_err(|_| "java did not start DynamoDB Local".to_owned())
}

fn tests_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn refused(operation: &str, path: &Path, error: &io::Error) -> String {
    format!("failed to {operation} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// `ListTables`, as a client would ask, with a signature that no engine checks.
    fn list_tables(endpoint_url: &str) -> String {
        let address = endpoint_url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\n\
             Host: {address}\r\n\
             Connection: close\r\n\
             Content-Type: application/x-amz-json-1.0\r\n\
             Content-Length: 2\r\n\
             X-Amz-Target: DynamoDB_20120810.ListTables\r\n\
             X-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0\r\n\
             \r\n\
             {{}}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    async fn check(kind: EngineKind) {
        let endpoint_url = endpoint(kind).await;
        assert_eq!(endpoint(kind).await, endpoint_url, "one engine for all");
        let answer = list_tables(&endpoint_url);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\"TableNames\""), "{answer}");
    }

    #[tokio::test]
    async fn dynamodb_local_answers() {
        check(EngineKind::DynamoDbLocal).await;
    }

    #[tokio::test]
    async fn the_embedded_engine_answers() {
        check(EngineKind::Embedded).await;
    }

    #[test]
    fn an_engine_outlives_the_runtime_of_the_test_that_started_it() {
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(check(EngineKind::Embedded));
        }
    }
}
