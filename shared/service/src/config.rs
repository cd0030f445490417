//! Configuration from the environment. A function reads it once, at start; one message tells all its problems.

use carriers::twilio;
use carriers::{Receivers, Senders};
use egress::Allowed;
use routing::AccountSid;

use crate::PublicUrl;
use crate::app::OUR_FIRST_SEGMENTS;

/// The environment of a function.
#[derive(Clone)]
pub struct Config {
    /// `CROSSPOINT_ACCOUNT_SID`: Crosspoint's own; opens the API.
    pub account: AccountSid,
    /// `CROSSPOINT_AUTH_TOKEN`: Crosspoint's own; opens the API and signs the requests that Crosspoint sends.
    pub token: String,
    /// `CROSSPOINT_PUBLIC_URL`: the address that carriers sign and that links point to.
    pub public_url: PublicUrl,
    /// `CROSSPOINT_TABLE`: the table's name.
    pub table: String,
    /// `CROSSPOINT_TWILIO_ACCOUNT_SID` and `CROSSPOINT_TWILIO_AUTH_TOKEN`: both or neither.
    pub twilio: Option<twilio::Credentials>,
    /// `CROSSPOINT_TWILIO_API_URL`: the URL of Twilio's API; for a stand-in.
    pub twilio_api_url: PublicUrl,
    /// `CROSSPOINT_CALL_ALLOW`: the inside networks that webhooks' URLs may lead to, in CIDR notation, separated by
    /// commas.
    pub call_allow: Allowed,
}

/// All problems, one on each line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration is wrong:\n  {}", .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// `lookup`: the value of a variable, if it is set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let mut required = |name: &str| {
            let value = lookup(name).filter(|value| !value.is_empty());
            if value.is_none() {
                problems.push(format!("{name} is not set"));
            }
            value.unwrap_or_default()
        };
        let account_text = required("CROSSPOINT_ACCOUNT_SID");
        let token = required("CROSSPOINT_AUTH_TOKEN");
        let public_url_text = required("CROSSPOINT_PUBLIC_URL");
        let table = required("CROSSPOINT_TABLE");
        // An optional parameter of the template is an empty variable.
        let given = |name| lookup(name).filter(|value| !value.is_empty());
        let twilio = (
            given("CROSSPOINT_TWILIO_ACCOUNT_SID"),
            given("CROSSPOINT_TWILIO_AUTH_TOKEN"),
        );

        let twilio_api_text = given("CROSSPOINT_TWILIO_API_URL");
        let twilio_api_text = twilio_api_text.as_deref().unwrap_or(twilio::send::API_URL);
        let twilio_api_url = PublicUrl::parse(twilio_api_text);
        if twilio_api_url.is_none() {
            problems.push(
                "CROSSPOINT_TWILIO_API_URL is not an http or https URL without query".to_owned(),
            );
        }

        let call_allow = given("CROSSPOINT_CALL_ALLOW").unwrap_or_default();
        let call_allow = call_allow.parse().unwrap_or_else(|error| {
            problems.push(format!("CROSSPOINT_CALL_ALLOW is wrong: {error}"));
            Allowed::default()
        });

        let account = AccountSid::parse(&account_text);
        if account.is_none() && !account_text.is_empty() {
            problems.push("CROSSPOINT_ACCOUNT_SID is not AC and 32 hexadecimal digits".to_owned());
        }
        if !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            problems.push(
                "CROSSPOINT_AUTH_TOKEN has characters other than letters and digits".to_owned(),
            );
        }
        let public_url = PublicUrl::parse(&public_url_text);
        if public_url.is_none() && !public_url_text.is_empty() {
            problems
                .push("CROSSPOINT_PUBLIC_URL is not an http or https URL without query".to_owned());
        }
        if public_url.as_ref().is_some_and(PublicUrl::hides_our_paths) {
            problems.push(format!(
                "the path of CROSSPOINT_PUBLIC_URL begins with a name that Crosspoint's own paths begin with; \
                 choose another mapping key than {}",
                OUR_FIRST_SEGMENTS.join(", ")
            ));
        }
        let twilio = match twilio {
            (None, None) => None,
            (Some(sid), Some(twilio_token)) => {
                let account = AccountSid::parse(&sid);
                if account.is_none() {
                    problems.push(
                        "CROSSPOINT_TWILIO_ACCOUNT_SID is not AC and 32 hexadecimal digits"
                            .to_owned(),
                    );
                }
                if !token.is_empty() && twilio_token == token {
                    problems.push(
                        "CROSSPOINT_TWILIO_AUTH_TOKEN is the same as CROSSPOINT_AUTH_TOKEN"
                            .to_owned(),
                    );
                }
                account.map(|account| twilio::Credentials {
                    account,
                    token: twilio_token,
                })
            }
            _ => {
                let text =
                    "CROSSPOINT_TWILIO_ACCOUNT_SID and CROSSPOINT_TWILIO_AUTH_TOKEN go together";
                problems.push(text.to_owned());
                None
            }
        };
        match (account, public_url, twilio_api_url) {
            (Some(account), Some(public_url), Some(twilio_api_url)) if problems.is_empty() => {
                Ok(Config {
                    account,
                    token,
                    public_url,
                    table,
                    twilio,
                    twilio_api_url,
                    call_allow,
                })
            }
            _ => Err(ConfigError(problems)),
        }
    }

    /// The carriers that may hand us messages. The simulator is none of them: the local stack adds it.
    pub fn receivers(&self) -> Receivers {
        Receivers {
            twilio: self.twilio.clone(),
            simulator: None,
        }
    }

    /// The carriers that can send for us. The simulator is none of them: the local stack adds it.
    pub fn senders(&self) -> Senders {
        let twilio = self.twilio.clone();
        let url = self.twilio_api_url.as_str();
        Senders {
            twilio: twilio.map(|credentials| twilio::send::Sender::new(credentials, url)),
            simulator: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, Option<&str>)]) -> Result<Config, ConfigError> {
        let sid = format!("AC{}", "0".repeat(32));
        Config::read(
            |name| match changes.iter().find(|(changed, _)| *changed == name) {
                Some((_, value)) => value.map(str::to_owned),
                None => match name {
                    "CROSSPOINT_ACCOUNT_SID" => Some(sid.clone()),
                    "CROSSPOINT_AUTH_TOKEN" => Some("token1".to_owned()),
                    "CROSSPOINT_PUBLIC_URL" => Some("https://example.com/".to_owned()),
                    "CROSSPOINT_TABLE" => Some("crosspoint".to_owned()),
                    _ => None,
                },
            },
        )
    }

    #[test]
    fn a_whole_environment_is_read() {
        let config = read(&[]).unwrap();
        assert_eq!(config.public_url.as_str(), "https://example.com");
        assert!(config.twilio.is_none());
    }

    #[test]
    fn one_error_names_all_problems() {
        let problems = |changes: &[(&str, Option<&str>)]| {
            read(changes)
                .err()
                .map_or(0, |ConfigError(list)| list.len())
        };
        for (changes, count) in [
            (&[("CROSSPOINT_TABLE", None)][..], 1),
            (
                &[
                    ("CROSSPOINT_TABLE", None),
                    ("CROSSPOINT_ACCOUNT_SID", Some("AC1")),
                ],
                2,
            ),
            (&[("CROSSPOINT_AUTH_TOKEN", Some("a b"))], 1),
            (&[("CROSSPOINT_PUBLIC_URL", Some("example.com?x"))], 1),
            (
                &[("CROSSPOINT_PUBLIC_URL", Some("https://a.example/v1"))],
                1,
            ),
            (
                &[(
                    "CROSSPOINT_PUBLIC_URL",
                    Some("https://a.example/crosspoint/x/"),
                )],
                1,
            ),
            (
                &[("CROSSPOINT_PUBLIC_URL", Some("https://v1.example/sms/v1"))],
                0,
            ),
            (
                &[("CROSSPOINT_PUBLIC_URL", Some("https://a.example/v10"))],
                0,
            ),
            (&[("CROSSPOINT_TWILIO_AUTH_TOKEN", Some("x"))], 1),
            (&[("CROSSPOINT_TWILIO_API_URL", Some("api.twilio.com"))], 1),
            (
                &[("CROSSPOINT_CALL_ALLOW", Some("10.0.0.0/8,localhost"))],
                1,
            ),
            (
                &[
                    ("CROSSPOINT_TWILIO_AUTH_TOKEN", Some("token1")),
                    ("CROSSPOINT_TWILIO_ACCOUNT_SID", Some("x")),
                ],
                2,
            ),
        ] {
            assert_eq!(problems(changes), count, "{changes:?}");
        }
    }
}
