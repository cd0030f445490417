//! Parameters, read into what they mean.
//!
//! Refused here: a parameter that stands twice where one is meant, and whatever is not within its limits. An absent
//! parameter is `None`; what an empty one means is each parameter's own matter.

use std::time::Duration;

use carriers::Form;
use routing::{EventName, Method, UrlError, WebhookUrl};
use service::attributes;

use crate::codes::{self, Problem};
use crate::{date, timer};

#[derive(Clone, Debug)]
pub(crate) struct Params(Form);

impl Params {
    pub(crate) fn new(form: Form) -> Params {
        Params(form)
    }

    /// The value of a parameter that stands at most once.
    pub(crate) fn once(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(codes::parameter(name, "is given more than once")),
            None => Ok(value),
        }
    }

    /// As [`Params::once`], where an empty parameter counts as absent.
    pub(crate) fn given(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.once(name)?.filter(|value| !value.is_empty()))
    }

    /// What we would drop silently otherwise.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), Problem> {
        for name in names {
            if self.0.all(name).any(|value| !value.is_empty()) {
                return Err(codes::not_supported(name));
            }
        }
        Ok(())
    }

    /// `DateCreated` and `DateUpdated` are not anybody's to set, and ignored; but they must be dates.
    pub(crate) fn dates(&self) -> Result<(), Problem> {
        for (name, invalid) in [
            ("DateCreated", codes::DATE_CREATED),
            ("DateUpdated", codes::DATE_UPDATED),
        ] {
            if self
                .given(name)?
                .is_some_and(|text| date::from(text).is_none())
            {
                return Err(invalid);
            }
        }
        Ok(())
    }

    /// A text of at most so many characters.
    pub(crate) fn text(
        &self,
        name: &str,
        characters_max: usize,
        too_long: Problem,
    ) -> Result<Option<String>, Problem> {
        match self.once(name)? {
            Some(text) if text.chars().count() > characters_max => Err(too_long),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        invalid: Problem,
    ) -> Result<Option<T>, Problem> {
        self.once(name)?
            .map(|text| parse(text).ok_or(invalid))
            .transpose()
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Problem> {
        let parse = |text: &str| {
            [("true", true), ("false", false)]
                .into_iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))
                .map(|(_, value)| value)
        };
        self.choice(name, parse, codes::parameter(name, "must be true or false"))
    }

    pub(crate) fn method(&self, name: &str) -> Result<Option<Method>, Problem> {
        let invalid = codes::parameter(name, "must be GET or POST");
        self.choice(name, Method::parse, invalid)
    }

    pub(crate) fn attributes(&self, bytes_max: usize) -> Result<Option<String>, Problem> {
        let text = self.once("Attributes")?;
        if let Some(text) = text {
            attributes::check(text, bytes_max).map_err(codes::attributes)?;
        }
        Ok(text.map(str::to_owned))
    }

    /// `Some(None)`: an empty parameter, which removes the URL.
    pub(crate) fn url(
        &self,
        name: &str,
        problem: impl FnOnce(UrlError) -> Problem,
    ) -> Result<Option<Option<WebhookUrl>>, Problem> {
        match self.once(name)? {
            None => Ok(None),
            Some("") => Ok(Some(None)),
            Some(text) => WebhookUrl::parse(text)
                .map(|url| Some(Some(url)))
                .map_err(problem),
        }
    }

    /// The names of events, each once. `Some` of none: one empty parameter, which clears the list.
    pub(crate) fn events(
        &self,
        name: &str,
        fits: impl Fn(EventName) -> bool,
    ) -> Result<Option<Vec<EventName>>, Problem> {
        let values: Vec<&str> = self.0.all(name).collect();
        let mut events = Vec::new();
        match values[..] {
            [] => return Ok(None),
            [""] => return Ok(Some(events)),
            _ => {}
        }
        for value in values {
            let event = EventName::parse(value)
                .filter(|event| fits(*event))
                .ok_or(codes::FILTER_INVALID)?;
            if !events.contains(&event) {
                events.push(event);
            }
        }
        Ok(Some(events))
    }

    /// A timer in seconds; 0 removes it.
    pub(crate) fn timer(
        &self,
        name: &str,
        s_min: u64,
        malformed: Problem,
        too_short: Problem,
    ) -> Result<Option<u64>, Problem> {
        let Some(text) = self.once(name)? else {
            return Ok(None);
        };
        let timer = timer::parse(text).ok_or(malformed)?;
        match timer.is_zero() || timer >= Duration::from_secs(s_min) {
            true => Ok(Some(timer.as_secs())),
            false => Err(too_short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(body: &str) -> Params {
        Params::new(Form::parse(body.as_bytes()).unwrap())
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> u32 {
        result.unwrap_err().code
    }

    #[test]
    fn a_parameter_stands_once() {
        let both = params("A=1&B=&A=1");
        assert_eq!(code(both.once("A")), 20001);
        assert_eq!(both.once("B").unwrap(), Some(""));
        assert_eq!(both.given("B").unwrap(), None);
        assert_eq!(both.once("C").unwrap(), None);
    }

    #[test]
    fn a_text_is_counted_in_characters() {
        let text = |max| params("A=%C3%A4%C3%A4").text("A", max, codes::BODY_TOO_LONG);
        assert_eq!(text(2).unwrap().as_deref(), Some("ää"));
        assert_eq!(code(text(1)), 50504);
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(params("A=TRUE").boolean("A").unwrap(), Some(true));
        assert_eq!(params("A=False").boolean("A").unwrap(), Some(false));
        assert_eq!(code(params("A=yes").boolean("A")), 20001);
        assert_eq!(code(params("A=").boolean("A")), 20001);
        assert_eq!(params("A=get").method("A").unwrap(), Some(Method::Get));
        assert_eq!(code(params("A=put").method("A")), 20001);
    }

    #[test]
    fn attributes_are_a_json_object() {
        assert_eq!(params("").attributes(10).unwrap(), None);
        let some = params("Attributes={}").attributes(10).unwrap();
        assert_eq!(some.as_deref(), Some("{}"));
        assert_eq!(code(params("Attributes=[]").attributes(10)), 50304);
        assert_eq!(code(params("Attributes=").attributes(10)), 50304);
        assert_eq!(code(params("Attributes={}").attributes(1)), 50303);
    }

    #[test]
    fn an_empty_url_removes_it() {
        let url = |body: &str| params(body).url("A", |e| codes::url(e, codes::PRE_WEBHOOK_URL));
        assert_eq!(url("").unwrap(), None);
        assert_eq!(url("A=").unwrap(), Some(None));
        assert!(
            url("A=https%3A%2F%2Fexample.com")
                .unwrap()
                .unwrap()
                .is_some()
        );
        assert_eq!(code(url("A=example")), 50077);
        assert_eq!(code(url(&format!("A=https://{}", "a".repeat(512)))), 50372);
    }

    #[test]
    fn filters_are_names_of_events() {
        let events = |body: &str| params(body).events("F", EventName::fits_autocreation);
        assert_eq!(events("").unwrap(), None);
        assert_eq!(events("F=").unwrap(), Some(vec![]));
        let added = EventName::OnMessageAdded;
        let twice = events("F=onMessageAdded&F=ONMESSAGEADDED").unwrap();
        assert_eq!(twice, Some(vec![added]));
        for bad in ["F=onMessageSent", "F=onMessageAdd", "F=onMessageAdded&F="] {
            assert_eq!(code(events(bad)), 50365, "{bad}");
        }
    }

    #[test]
    fn a_timer_is_long_enough_or_none() {
        for (text, expected) in [
            ("PT1M", Ok(60)),
            ("PT60.9S", Ok(60)),
            ("P1D", Ok(86_400)),
            ("PT0S", Ok(0)),
            ("PT59.999S", Err(2)),
            ("PT0.1S", Err(2)),
            ("-PT1M", Err(1)),
            ("", Err(1)),
            ("60", Err(1)),
        ] {
            let timer = params(&format!("T={text}")).timer(
                "T",
                60,
                codes::INACTIVE_TIMER,
                codes::INACTIVE_TIMER_SHORT,
            );
            let code = timer.map_err(|problem| match problem.code {
                50379 => 1,
                50375 => 2,
                other => other,
            });
            assert_eq!(code.map(Option::unwrap), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_aloud() {
        assert_eq!(code(params("MediaSid=ME1").refuse(&["MediaSid"])), 20001);
        assert!(params("MediaSid=&Body=x").refuse(&["MediaSid"]).is_ok());
    }
}
