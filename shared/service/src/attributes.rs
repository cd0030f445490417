//! Attributes: a JSON object, kept as the text that the caller sent.

/// Why a text is not attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    #[error("attributes are longer than {0} bytes")]
    TooLong(usize),
    #[error("attributes are not a JSON object")]
    NotJson,
}

/// Checks a text against a limit in bytes.
pub fn check(text: &str, bytes_max: usize) -> Result<(), AttributesError> {
    if text.len() > bytes_max {
        return Err(AttributesError::TooLong(bytes_max));
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(AttributesError::NotJson),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_an_object_within_a_limit() {
        assert_eq!(check(r#"{"a":[1]}"#, 9), Ok(()));
        assert_eq!(check(r#"{"a":[1]}"#, 8), Err(AttributesError::TooLong(8)));
        for bad in ["", "[]", "null", "\"{}\"", "{", "{}x"] {
            assert_eq!(check(bad, 100), Err(AttributesError::NotJson), "{bad}");
        }
    }
}
