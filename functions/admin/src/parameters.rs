//! Parameters, read into values.
//!
//! Each method refuses a value outside its limits, and a second value where the API takes one. An absent parameter is
//! `None`. What an empty parameter means depends on the parameter.

use std::time::Duration;

use carriers::Form;
use routing::{EventName, Method, UrlError, WebhookUrl};
use service::attributes;

use crate::codes;
use crate::problem::Problem;
use crate::{date, timer};

#[derive(Clone, Debug)]
pub(crate) struct Parameters(Form);

impl Parameters {
    pub(crate) fn new(form: Form) -> Parameters {
        Parameters(form)
    }

    /// The value of a parameter that the API takes at most once.
    pub(crate) fn single(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(codes::parameter(name, "is given more than once")),
            None => Ok(value),
        }
    }

    /// The same, where an empty parameter counts as absent.
    pub(crate) fn non_empty(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.single(name)?.filter(|value| !value.is_empty()))
    }

    /// Refuses parameters that would have no effect, silently.
    pub(crate) fn refuse_unsupported(&self, names: &[&str]) -> Result<(), Problem> {
        for name in names {
            if self.0.all(name).any(|value| !value.is_empty()) {
                return Err(codes::not_supported(name));
            }
        }
        Ok(())
    }

    /// Refuses a `DateCreated` or `DateUpdated` that is not a date. The API ignores the dates themselves.
    pub(crate) fn check_dates(&self) -> Result<(), Problem> {
        for (name, invalid) in [
            ("DateCreated", codes::DATE_CREATED),
            ("DateUpdated", codes::DATE_UPDATED),
        ] {
            if self
                .non_empty(name)?
                .is_some_and(|text| date::from(text).is_none())
            {
                return Err(invalid);
            }
        }
        Ok(())
    }

    /// A text of at most `characters_max` characters.
    pub(crate) fn text(
        &self,
        name: &str,
        characters_max: usize,
        too_long: Problem,
    ) -> Result<Option<String>, Problem> {
        match self.single(name)? {
            Some(text) if text.chars().count() > characters_max => Err(too_long),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// The value that `parse` makes of the text.
    pub(crate) fn choice<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        invalid: Problem,
    ) -> Result<Option<T>, Problem> {
        self.single(name)?
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
        let text = self.single("Attributes")?;
        if let Some(text) = text {
            attributes::check(text, bytes_max).map_err(codes::attributes)?;
        }
        Ok(text.map(str::to_owned))
    }

    /// `Some(None)`: the parameter is empty, which removes the URL.
    pub(crate) fn url(
        &self,
        name: &str,
        problem: impl FnOnce(UrlError) -> Problem,
    ) -> Result<Option<Option<WebhookUrl>>, Problem> {
        match self.single(name)? {
            None => Ok(None),
            Some("") => Ok(Some(None)),
            Some(text) => WebhookUrl::parse(text)
                .map(|url| Some(Some(url)))
                .map_err(problem),
        }
    }

    /// The names of events, each once. `Some` of an empty list: one empty parameter, which empties the list.
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

    /// A timer in seconds; 0 removes the timer.
    pub(crate) fn timer(
        &self,
        name: &str,
        s_min: u64,
        malformed: Problem,
        too_short: Problem,
    ) -> Result<Option<u64>, Problem> {
        let Some(text) = self.single(name)? else {
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

    fn parameters(body: &str) -> Parameters {
        Parameters::new(Form::parse(body.as_bytes()).unwrap())
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> u32 {
        result.unwrap_err().code
    }

    #[test]
    fn a_parameter_stands_once() {
        let both = parameters("A=1&B=&A=1");
        assert_eq!(code(both.single("A")), 20001);
        assert_eq!(both.single("B").unwrap(), Some(""));
        assert_eq!(both.non_empty("B").unwrap(), None);
        assert_eq!(both.single("C").unwrap(), None);
    }

    #[test]
    fn a_text_is_counted_in_characters() {
        let text = |max| parameters("A=%C3%A4%C3%A4").text("A", max, codes::BODY_TOO_LONG);
        assert_eq!(text(2).unwrap().as_deref(), Some("ää"));
        assert_eq!(code(text(1)), 50504);
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(parameters("A=TRUE").boolean("A").unwrap(), Some(true));
        assert_eq!(parameters("A=False").boolean("A").unwrap(), Some(false));
        assert_eq!(code(parameters("A=yes").boolean("A")), 20001);
        assert_eq!(code(parameters("A=").boolean("A")), 20001);
        assert_eq!(parameters("A=get").method("A").unwrap(), Some(Method::Get));
        assert_eq!(code(parameters("A=put").method("A")), 20001);
    }

    #[test]
    fn attributes_are_a_json_object() {
        assert_eq!(parameters("").attributes(10).unwrap(), None);
        let some = parameters("Attributes={}").attributes(10).unwrap();
        assert_eq!(some.as_deref(), Some("{}"));
        assert_eq!(code(parameters("Attributes=[]").attributes(10)), 50304);
        assert_eq!(code(parameters("Attributes=").attributes(10)), 50304);
        assert_eq!(code(parameters("Attributes={}").attributes(1)), 50303);
    }

    #[test]
    fn an_empty_url_removes_it() {
        let url = |body: &str| parameters(body).url("A", |e| codes::url(e, codes::PRE_WEBHOOK_URL));
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
        let events = |body: &str| parameters(body).events("F", EventName::fits_autocreation);
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
            let timer = parameters(&format!("T={text}")).timer(
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
    fn an_unsupported_parameter_is_refused_unless_it_is_empty() {
        assert_eq!(
            code(parameters("MediaSid=ME1").refuse_unsupported(&["MediaSid"])),
            20001
        );
        assert!(
            parameters("MediaSid=&Body=x")
                .refuse_unsupported(&["MediaSid"])
                .is_ok()
        );
    }
}
