//! The number of SMS that a text takes, as `NumSegments` counts.

/// GSM 03.38 section 6.2.1: the default alphabet, one septet each.
const DEFAULT_ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension table: an escape, then a septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The room of a single SMS, and of each part of several SMS, where a header takes 6 of the 140 bytes. In septets, and in
/// UTF-16 units.
const SEPTETS: (usize, usize) = (160, 153);
const UNITS: (usize, usize) = (70, 67);

/// At least 1: an empty text is a message too.
pub(crate) fn segments(text: &str) -> usize {
    match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(widths) => parts(&widths, SEPTETS),
        None => parts(
            &text.chars().map(char::len_utf16).collect::<Vec<_>>(),
            UNITS,
        ),
    }
}

/// The width in GSM 03.38, if the alphabet has the character.
fn septets(character: char) -> Option<usize> {
    if DEFAULT_ALPHABET.contains(character) {
        Some(1)
    } else {
        EXTENSION.contains(character).then_some(2)
    }
}

/// A character is never cut in two, so that a part may end with room left.
fn parts(widths: &[usize], (single, each): (usize, usize)) -> usize {
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut parts, mut used) = (1, 0);
    for width in widths {
        if used + width > each {
            (parts, used) = (parts + 1, 0);
        }
        used += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_many_segments_as_its_alphabet_needs() {
        for (text, count) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // 76 of the pairs fit into 153 septets, not 76 and a half.
            ("€".repeat(152), 2),
            ("€".repeat(153), 3),
            ("ç".repeat(70), 1),
            ("ç".repeat(71), 2),
            ("ç".repeat(134), 2),
            ("ç".repeat(135), 3),
            ("🦀".repeat(35), 1),
            ("🦀".repeat(36), 2),
            // 33 surrogate pairs fit into 67 units.
            ("🦀".repeat(66), 2),
            ("🦀".repeat(67), 3),
            (format!("{}’", "a".repeat(70)), 2),
        ] {
            assert_eq!(segments(&text), count, "{text}");
        }
    }

    #[test]
    fn the_default_alphabet_has_127_characters_besides_the_escape() {
        let mut alphabet: Vec<char> = DEFAULT_ALPHABET.chars().collect();
        alphabet.sort();
        alphabet.dedup();
        assert_eq!(alphabet.len(), 127);
    }
}
