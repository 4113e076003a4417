//! Whether an answer itself shows that it was not cut off.
//!
//! Owns the nesting of JSON, and nothing of its contents. Copies nothing, since the answer holds tokens.

/// An object or an array whose last bracket is the last character of the answer: a cut answer lacks brackets. It need not be well-formed,
/// so that leniently read JSON passes too. A form, a text or a bare number may be cut anywhere and looks like a shorter one.
pub(super) fn is_seen_whole(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body = body.trim_ascii();
    if !matches!(body.first(), Some(b'{' | b'[')) {
        return false;
    }
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (index, byte) in body.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1 == body.len();
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_that_it_is_whole_and_no_part_of_it_does() {
        for whole in [
            r#"{"access_token":"a","refresh_token":"r"}"#,
            "\u{feff} [{\"a\": [1, {}]}]\r\n",
            r#"{"a":"}","b":"\"}{","c":"\\"}"#,
            "{}",
        ] {
            assert!(is_seen_whole(whole.as_bytes()), "{whole}");
            let (last, _) = whole.trim_end().char_indices().next_back().unwrap();
            for length in 0..last {
                let part = &whole.as_bytes()[..length];
                assert!(!is_seen_whole(part), "{whole}: {length}");
            }
        }
        // A byte that is no text is read too.
        assert!(is_seen_whole(b"{\"a\":\"\xff\"}"));
        let others = [
            "access_token=a&b={}",
            "token",
            "12",
            "\"token\"",
            "{}{",
            "{} x",
            "",
        ];
        for other in others {
            assert!(!is_seen_whole(other.as_bytes()), "{other}");
        }
    }
}
