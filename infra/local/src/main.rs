//! `cargo run`: the whole system on this machine.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use carriers::simulator::outbox::Outbox;
use local::dispatcher::{Dispatcher, START_TIME_MAX};
use local::engine::Engine;
use local::options::{self, Command, HELP, Options, Storage};
use local::tasks::Tasks;
use local::writes::{Writers, Writes};
use local::{stack, stream};
use service::{App, Config, ErrorChain};
use store::{Deadline, Store, engine_config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

const TABLE: &str = "crosspoint";
const AUTH_TOKEN: &str = "localdevelopmenttoken";

fn main() -> ExitCode {
    let ran = match options::read(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(options)) => run(options),
        Err(error) => Err(format!("{error}; --help tells the options").into()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;

    let listener = stack::listen(options.port).await.map_err(|error| {
        format!(
            "port {} of 127.0.0.1 can't be listened on: {error}",
            options.port
        )
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    let config = Config::read(|name| std::env::var(name).ok().or_else(|| default(name, &url)))?;

    let (engine, endpoint, data) = match &options.storage {
        Storage::OnDisk(dir) => (
            Some(Engine::on_disk(dir)?),
            String::new(),
            format!("in {}", dir.display()),
        ),
        Storage::InMemory => (
            Some(Engine::in_memory()?),
            String::new(),
            "in memory".to_owned(),
        ),
        Storage::Endpoint(endpoint) => (None, endpoint.clone(), format!("at {endpoint}")),
    };
    let engine = match engine {
        Some(engine) => Some(engine.serve().await?),
        None => None,
    };
    let endpoint = engine
        .as_ref()
        .map_or(endpoint, |engine| engine.endpoint_url());
    let writers = match engine {
        Some(_) => Writers::ThisProcess,
        None => Writers::AnyProcess,
    };
    let writes = Writes::default();
    let client = Store::client(writes.observe(engine_config(&endpoint)));
    let store = Store::new(client, &config.table);
    store.create_table(Deadline::after(START_TIME_MAX)).await?;

    let mut app = App::new(store, &config);
    app.senders.simulator = Some(Outbox::default());
    let tasks = Tasks::new(app.clone());
    let stream = stream::client_config(&endpoint).build();
    let stream = aws_sdk_dynamodbstreams::Client::from_conf(stream);
    let dispatcher = Dispatcher::start(app.clone(), tasks.clone(), stream, writers, &writes);
    let dispatcher = dispatcher
        .await
        .map_err(|error| -> Box<dyn Error> { error })?;
    let receivers = config.receivers();
    let Config { account, token, .. } = config;
    let router = stack::router(app, token.clone(), receivers, tasks);
    let served = stack::serve(listener, router)?;
    say(&welcome(&url, &data, &account.to_string(), &token));

    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    served.stop().await;
    drop(dispatcher);
    if let Some(engine) = engine {
        engine.stop().await;
    }
    say("Crosspoint has stopped.\n");
    Ok(())
}

/// The values of the variables that the local stack does not need.
fn default(name: &str, url: &str) -> Option<String> {
    match name {
        "CROSSPOINT_ACCOUNT_SID" => Some(format!("AC{}", "0".repeat(32))),
        "CROSSPOINT_AUTH_TOKEN" => Some(AUTH_TOKEN.to_owned()),
        "CROSSPOINT_PUBLIC_URL" => Some(url.to_owned()),
        "CROSSPOINT_TABLE" => Some(TABLE.to_owned()),
        // Webhooks under development listen on this machine.
        "CROSSPOINT_CALL_ALLOW" => Some("127.0.0.0/8,::1".to_owned()),
        _ => None,
    }
}

fn welcome(url: &str, data: &str, account: &str, token: &str) -> String {
    format!(
        "\
Crosspoint is ready at {url}, with its table {data}.

  account SID  {account}
  auth token   {token}

Try it: a number, a conversation for each sender who writes to it, a message, and the conversations.

  curl -u {account}:{token} {url}/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json \\
       -d PhoneNumber=%2B15550002222 -d Carrier=simulator
  curl -u {account}:{token} {url}/v1/Configuration/Addresses \\
       -d Type=sms -d Address=%2B15550002222 -d AutoCreation.Enabled=true
  curl {url}/inbound/simulator -d From=%2B15550001111 -d To=%2B15550002222 -d Body=Hello
  curl -u {account}:{token} {url}/v1/Conversations

The messages that we send are at {url}/simulator/outbox. Move the clock with

  curl {url}/simulator/clock -d Advance=PT11M

Ctrl-C ends it.
"
    )
}

#[expect(clippy::print_stdout, reason = "a person at the terminal reads it")]
fn say(text: &str) {
    print!("{text}");
}

/// Prints an error and its causes.
#[expect(clippy::print_stderr, reason = "a person at the terminal reads it")]
fn complain(error: &(dyn Error + 'static)) {
    eprintln!("crosspoint: {}", ErrorChain(error));
}
