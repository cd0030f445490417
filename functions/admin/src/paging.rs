//! Pages of lists: the page that a request asks for, the rows that fit into its response, and the URLs of other pages.
//!
//! `Page` is the client's own count: a response repeats it. `PageToken` alone holds the place in the list, and the store
//! alone reads it.

use serde_json::{Value, json};
use store::{Page, PageRequest};

use crate::codes;
use crate::parameters::Parameters;
use crate::problem::Problem;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    number: u64,
    request: PageRequest,
}

/// How many rows a page has without `PageSize`, and at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSizes {
    pub(crate) default: usize,
    pub(crate) max: usize,
}

/// The parts of a response to a list that do not depend on the kind of its rows.
pub(crate) struct List<'a> {
    /// Without a query; absolute, or a path for the 2010 API.
    pub(crate) url: String,
    /// The parameters that filter the list.
    pub(crate) filters: Vec<(&'static str, &'a str)>,
    pub(crate) key: &'static str,
    pub(crate) fitting: Fitting,
}

/// The first rows of a page, as many as one response can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fitting {
    rows: Vec<Value>,
    /// The token of the page after them.
    next: Option<String>,
}

/// Lambda refuses a response of more than 6 MB (6,291,456 bytes). The rows get 5 MB of them. The rest holds the headers
/// and the URLs of other pages; both have a few kilobytes. One row always fits: an item of the table has at most 400 KB,
/// and escapes make at most seven bytes of one.
const ROWS_BYTES_MAX: usize = 5 * 1024 * 1024;

impl Fitting {
    /// `json_of`: a row as the response shows it; `None` if the list leaves it out.
    pub(crate) fn of<T>(page: &Page<T>, json_of: impl Fn(&T) -> Option<Value>) -> Fitting {
        let mut rows = Vec::with_capacity(page.rows.len());
        let mut bytes = 0;
        for (number, row) in page.rows.iter().enumerate() {
            let Some(json) = json_of(row) else {
                continue;
            };
            bytes += response_bytes(&json);
            if bytes > ROWS_BYTES_MAX && number > 0 {
                let next = page.next_after(number).map(str::to_owned);
                return Fitting { rows, next };
            }
            rows.push(json);
        }
        let next = page.next_after(page.rows.len()).map(str::to_owned);
        Fitting { rows, next }
    }

    /// A row that was found without a list, or none.
    pub(crate) fn only(row: Option<Value>) -> Fitting {
        Fitting {
            rows: row.into_iter().collect(),
            next: None,
        }
    }
}

/// How many bytes a row takes in Lambda's response. The response holds the body as a JSON string, which escapes each
/// quote and each backslash of the body once more. A separator follows.
fn response_bytes(row: &Value) -> usize {
    let text = row.to_string();
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    text.len() + escaped.count() + 1
}

impl Paging {
    /// A `PageSize` above the maximum counts as the maximum.
    pub(crate) fn from_parameters(
        parameters: &Parameters,
        sizes: PageSizes,
    ) -> Result<Paging, Problem> {
        let size = match parameters.non_empty("PageSize")? {
            None => sizes.default,
            Some(text) => digits(text)
                .and_then(|size| usize::try_from(size).ok())
                .filter(|size| *size > 0)
                .ok_or_else(|| codes::parameter("PageSize", "must be a positive integer"))?,
        };
        let number = match parameters.non_empty("Page")? {
            None => 0,
            Some(text) => match text.strip_prefix('-').map(digits) {
                Some(Some(_)) => return Err(codes::PAGE_NEGATIVE),
                _ => digits(text).ok_or(codes::PAGE_NOT_INTEGER)?,
            },
        };
        let token = parameters.non_empty("PageToken")?.map(str::to_owned);
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

    /// The body of a list of the Conversations API.
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
        body[list.key] = list.fitting.rows.into();
        body
    }

    /// The body of a list of the 2010 API.
    pub(crate) fn list_2010(&self, list: List) -> Value {
        let start = self.number.saturating_mul(self.request.size as u64);
        let end = start.saturating_add((list.fitting.rows.len() as u64).saturating_sub(1));
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
        body[list.key] = list.fitting.rows.into();
        body
    }

    fn first(&self, list: &List) -> String {
        self.url(list, 0, None)
    }

    fn current(&self, list: &List) -> String {
        self.url(list, self.number, self.request.token.as_deref())
    }

    fn next(&self, list: &List) -> Option<String> {
        let token = list.fitting.next.as_deref()?;
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

/// The number that the text writes with digits alone. A number that is too long counts as the largest.
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

    fn paging(query: &str) -> Result<Paging, Problem> {
        let parameters = Parameters::new(Form::parse(query.as_bytes()).unwrap());
        Paging::from_parameters(&parameters, SIZES)
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
            let found = paging(query).unwrap();
            assert_eq!((found.request.size, found.number), (size, number));
            assert_eq!(found.request.token.as_deref(), token);
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
            assert_eq!(paging(query).unwrap_err().code, code, "{query}");
        }
    }

    fn list(next: Option<&str>) -> List<'static> {
        List {
            url: "https://x.example/v1/Conversations".to_owned(),
            filters: vec![("State", "active"), ("StartDate", "2026-01-01")],
            key: "conversations",
            fitting: Fitting {
                rows: vec![json!(1), json!(2)],
                next: next.map(str::to_owned),
            },
        }
    }

    #[test]
    fn the_next_page_keeps_size_and_filters() {
        let body = paging("PageSize=2&Page=1&PageToken=a%20b")
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
            paging("").unwrap().list(list(None))["meta"]["next_page_url"],
            Value::Null
        );
    }

    #[test]
    fn a_row_is_counted_as_lambda_escapes_it() {
        for text in ["", "a", "\"\\", "\u{1}\n", "ä🦀", r#"{"a":"\"b\""}"#] {
            let row = json!({"body": text});
            let body = Value::String(row.to_string()).to_string();
            // The string's own quotes, and the separator.
            assert_eq!(response_bytes(&row), body.len() - 2 + 1, "{text:?}");
        }
    }

    #[test]
    fn a_page_of_the_2010_api_counts_its_rows() {
        let body = paging("PageSize=2&Page=3").unwrap().list_2010(list(None));
        assert_eq!((&body["start"], &body["end"]), (&json!(6), &json!(7)));
        assert_eq!(body["next_page_uri"], Value::Null);
    }
}
