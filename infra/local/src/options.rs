//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

/// The options of `cargo run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// 0: any free port.
    pub port: u16,
    pub storage: Storage,
}

/// The engine that keeps the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    OnDisk(PathBuf),
    InMemory,
    /// The URL of a server that speaks DynamoDB.
    Endpoint(String),
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Run(Options),
    Help,
}

pub const HELP: &str = "\
Runs the whole of Crosspoint on this machine.

Usage: cargo run -- [options]
  --port N                  listen on port N of 127.0.0.1 (9010)
  --data-dir DIR            keep the table in DIR (.crosspoint)
  --in-memory               keep the table in memory
  --dynamodb-endpoint URL   keep the table at DynamoDB Local, or at another server that speaks DynamoDB

Environment:
  CROSSPOINT_ACCOUNT_SID, CROSSPOINT_AUTH_TOKEN
                            open the API and sign the requests that Crosspoint sends
  CROSSPOINT_PUBLIC_URL     the address that carriers sign (the address that the stack listens on)
  CROSSPOINT_TWILIO_ACCOUNT_SID, CROSSPOINT_TWILIO_AUTH_TOKEN
                            the account at Twilio; without them /inbound/twilio refuses everything
  CROSSPOINT_CALL_ALLOW     the inside networks that webhooks' URLs may lead to (127.0.0.0/8,::1)
  RUST_LOG                  the level of the log (info)
";

const PORT: u16 = 9010;
const DATA_DIR: &str = ".crosspoint";

/// The command that the arguments give. The program's name is not one of them.
pub fn read(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut port = PORT;
    let mut storage: Option<Storage> = None;
    while let Some(argument) = parser.next()? {
        let chosen = match argument {
            Long("port") => {
                port = parser.value()?.parse()?;
                continue;
            }
            Long("data-dir") => Storage::OnDisk(parser.value()?.into()),
            Long("in-memory") => Storage::InMemory,
            Long("dynamodb-endpoint") => Storage::Endpoint(parser.value()?.string()?),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        };
        if storage.replace(chosen).is_some() {
            return Err("give one of --data-dir, --in-memory and --dynamodb-endpoint".into());
        }
    }
    let storage = storage.unwrap_or_else(|| Storage::OnDisk(DATA_DIR.into()));
    Ok(Command::Run(Options { port, storage }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Option<Command> {
        read(arguments.iter().map(Into::into)).ok()
    }

    #[test]
    fn the_command_line_is_read() {
        let run = |port, storage| Some(Command::Run(Options { port, storage }));
        let on_disk = |dir: &str| Storage::OnDisk(dir.into());
        for (arguments, expected) in [
            (&[][..], run(9010, on_disk(".crosspoint"))),
            (&["--port", "0", "--in-memory"], run(0, Storage::InMemory)),
            (&["--data-dir=x"], run(9010, on_disk("x"))),
            (
                &["--dynamodb-endpoint", "http://h:1"],
                run(9010, Storage::Endpoint("http://h:1".to_owned())),
            ),
            (&["-h"], Some(Command::Help)),
            (&["--in-memory", "--data-dir", "x"], None),
            (&["--port", "99999"], None),
            (&["--what"], None),
            (&["what"], None),
        ] {
            assert_eq!(options(arguments), expected, "{arguments:?}");
        }
    }
}
