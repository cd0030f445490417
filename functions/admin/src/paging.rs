//! Pages of lists: which one is asked for, and where the others are.
//!
//! `Page` is the client's bookkeeping and comes back as it was; the place in the list is in `PageToken` alone, which
//! only the store can read. URLs are on our public address.

use serde_json::{Value, json};
use store::PageRequest;

use crate::codes::{self, Problem};
use crate::params::Params;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    number: u64,
    request: PageRequest,
}

/// How many rows a page has when nobody says, and at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSizes {
    pub(crate) default: usize,
    pub(crate) max: usize,
}

/// A list without its rows' meaning.
pub(crate) struct List<'a> {
    /// Without a query; absolute, or a path for the 2010 API.
    pub(crate) url: String,
    /// The parameters that the list was narrowed by.
    pub(crate) filters: Vec<(&'static str, &'a str)>,
    pub(crate) key: &'static str,
    pub(crate) rows: Vec<Value>,
    /// The token of the next page.
    pub(crate) next: Option<String>,
}

impl Paging {
    /// A page larger than the maximum is made smaller.
    pub(crate) fn read(params: &Params, sizes: PageSizes) -> Result<Paging, Problem> {
        let size = match params.given("PageSize")? {
            None => sizes.default,
            Some(text) => digits(text)
                .and_then(|size| usize::try_from(size).ok())
                .filter(|size| *size > 0)
                .ok_or_else(|| codes::parameter("PageSize", "must be a positive integer"))?,
        };
        let number = match params.given("Page")? {
            None => 0,
            Some(text) => match text.strip_prefix('-').map(digits) {
                Some(Some(_)) => return Err(codes::PAGE_NEGATIVE),
                _ => digits(text).ok_or(codes::PAGE_NOT_INTEGER)?,
            },
        };
        let token = params.given("PageToken")?.map(str::to_owned);
        Ok(Paging {
            number,
            request: PageRequest {
                size: size.min(sizes.max),
                token,
            },
        })
    }

    pub(crate) fn request(&self) -> &PageRequest {
        &self.request
    }

    /// A list of the Conversations API.
    pub(crate) fn list(&self, list: List) -> Value {
        let mut body = json!({
            "meta": {
                "page": self.number,
                "page_size": self.request.size,
                "first_page_url": self.first(&list),
                "previous_page_url": null,
                "url": self.current(&list),
                "next_page_url": self.next(&list),
                "key": list.key,
            },
        });
        body[list.key] = list.rows.into();
        body
    }

    /// A list of the 2010 API.
    pub(crate) fn list_2010(&self, list: List) -> Value {
        let start = self.number.saturating_mul(self.request.size as u64);
        let end = start.saturating_add((list.rows.len() as u64).saturating_sub(1));
        let mut body = json!({
            "page": self.number,
            "page_size": self.request.size,
            "start": start,
            "end": end,
            "first_page_uri": self.first(&list),
            "previous_page_uri": null,
            "uri": self.current(&list),
            "next_page_uri": self.next(&list),
        });
        body[list.key] = list.rows.into();
        body
    }

    fn first(&self, list: &List) -> String {
        self.url(list, 0, None)
    }

    fn current(&self, list: &List) -> String {
        self.url(list, self.number, self.request.token.as_deref())
    }

    fn next(&self, list: &List) -> Option<String> {
        let token = list.next.as_deref()?;
        Some(self.url(list, self.number.saturating_add(1), Some(token)))
    }

    fn url(&self, list: &List, number: u64, token: Option<&str>) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&list.filters)
            .append_pair("PageSize", &self.request.size.to_string())
            .append_pair("Page", &number.to_string())
            .extend_pairs(token.map(|token| ("PageToken", token)))
            .finish();
        format!("{}?{query}", list.url)
    }
}

/// A number of digits alone; one that is too long is the largest.
fn digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carriers::Form;

    const SIZES: PageSizes = PageSizes {
        default: 50,
        max: 100,
    };

    fn read(query: &str) -> Result<Paging, Problem> {
        let params = Params::new(Form::parse(query.as_bytes()).unwrap());
        Paging::read(&params, SIZES)
    }

    #[test]
    fn a_page_has_a_size_a_number_and_a_token() {
        for (query, size, number, token) in [
            ("", 50, 0, None),
            ("PageSize=&Page=&PageToken=", 50, 0, None),
            ("PageSize=7&Page=3&PageToken=abc", 7, 3, Some("abc")),
            ("PageSize=101", 100, 0, None),
            ("PageSize=99999999999999999999", 100, 0, None),
        ] {
            let paging = read(query).unwrap();
            assert_eq!((paging.request.size, paging.number), (size, number));
            assert_eq!(paging.request.token.as_deref(), token);
        }
        for (query, code) in [
            ("PageSize=0", 20001),
            ("PageSize=-1", 20001),
            ("PageSize=ten", 20001),
            ("PageSize=1&PageSize=2", 20001),
            ("Page=x", 19036),
            ("Page=1.5", 19036),
            ("Page=-", 19036),
            ("Page=-x", 19036),
            ("Page=-1", 19038),
        ] {
            assert_eq!(read(query).unwrap_err().code, code, "{query}");
        }
    }

    fn list(next: Option<&str>) -> List<'static> {
        List {
            url: "https://x.example/v1/Conversations".to_owned(),
            filters: vec![("State", "active"), ("StartDate", "2026-01-01")],
            key: "conversations",
            rows: vec![json!(1), json!(2)],
            next: next.map(str::to_owned),
        }
    }

    #[test]
    fn the_next_page_keeps_size_and_filters() {
        let body = read("PageSize=2&Page=1&PageToken=a%20b")
            .unwrap()
            .list(list(Some("c_d-")));
        let base =
            "https://x.example/v1/Conversations?State=active&StartDate=2026-01-01&PageSize=2";
        let expected = json!({
            "meta": {
                "page": 1,
                "page_size": 2,
                "first_page_url": format!("{base}&Page=0"),
                "previous_page_url": null,
                "url": format!("{base}&Page=1&PageToken=a+b"),
                "next_page_url": format!("{base}&Page=2&PageToken=c_d-"),
                "key": "conversations",
            },
            "conversations": [1, 2],
        });
        assert_eq!(body, expected);
        assert_eq!(
            read("").unwrap().list(list(None))["meta"]["next_page_url"],
            Value::Null
        );
    }

    #[test]
    fn a_page_of_the_2010_api_counts_its_rows() {
        let body = read("PageSize=2&Page=3").unwrap().list_2010(list(None));
        assert_eq!((&body["start"], &body["end"]), (&json!(6), &json!(7)));
        assert_eq!(body["next_page_uri"], Value::Null);
    }
}
