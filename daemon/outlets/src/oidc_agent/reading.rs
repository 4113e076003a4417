//! Where a message ends. The protocol has neither lengths nor line ends.
//!
//! Owns the largest message. Each byte is looked at once, so that a client that sends them one by one costs no more than one that does not.

/// The largest message in bytes. Requests have some hundred; the largest that a client of oidc-agent makes, with a profile for a mytoken, has a
/// few thousand.
pub(super) const LONGEST: usize = 16 * 1024;

/// The length of a public key in base64.
pub(super) const KEY: usize = 44;

/// What the first message is, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// It is not whole.
    More,
    /// A request in clear.
    Object,
    /// The client's public key, which begins at this position.
    Key(usize),
    /// Neither.
    Neither,
}

/// Finds the end of the first message.
#[derive(Debug, Default)]
pub(super) struct FirstEnd {
    looked_at: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl FirstEnd {
    /// What this is, after more bytes came.
    pub(super) fn look(&mut self, bytes: &[u8]) -> First {
        let Some(start) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return First::More;
        };
        if bytes.get(start) != Some(&b'{') {
            return key(bytes.get(start..).unwrap_or_default(), start);
        }
        let new = bytes.get(self.looked_at..).unwrap_or_default();
        self.looked_at = bytes.len();
        for byte in new {
            self.pass(*byte);
            if self.depth == 0 && *byte == b'}' && !self.in_text {
                return First::Object;
            }
        }
        First::More
    }

    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

fn key(bytes: &[u8], start: usize) -> First {
    let key = bytes.trim_ascii_end();
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    match key.len() {
        // A line end before its end would be looked for again after each further byte.
        ..KEY if key.len() < bytes.len() => First::Neither,
        _ if !key.iter().all(of_base64) => First::Neither,
        ..KEY => First::More,
        KEY => First::Key(start),
        _ => First::Neither,
    }
}

/// The parts of an encrypted message: `LENGTH:NONCE:BOX`, the length of the plain text in decimal, the others in base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encrypted<'m> {
    pub(super) nonce: &'m [u8],
    pub(super) secret_box: &'m [u8],
}

/// The parts of an encrypted message; `None` when it is not whole yet.
///
/// # Errors
/// This is no such message, or too long.
pub(super) fn encrypted(message: &[u8]) -> Result<Option<Encrypted<'_>>, NotEncrypted> {
    /// A nonce has 24 bytes.
    const NONCE: usize = 32;
    let message = message.trim_ascii_start();
    let Some(colon) = message.iter().position(|byte| *byte == b':') else {
        // A length that is too long has six digits.
        let is_begun = message.len() < 6 && message.iter().all(u8::is_ascii_digit);
        return is_begun.then_some(None).ok_or(NotEncrypted);
    };
    let (length, rest) = message.split_at(colon);
    let length = std::str::from_utf8(length).map_err(|_| NotEncrypted)?;
    let length: usize = length.parse().map_err(|_| NotEncrypted)?;
    let of_box = (length.saturating_add(super::secret_box::MARGIN)).div_ceil(3) * 4;
    let whole = 1 + NONCE + 1 + of_box;
    if colon + whole > LONGEST {
        return Err(NotEncrypted);
    }
    let Some(rest) = rest.get(..whole) else {
        return Ok(None);
    };
    let (nonce, secret_box) = (rest.get(1..=NONCE), rest.get(NONCE + 2..));
    match (nonce, rest.get(NONCE + 1), secret_box) {
        (Some(nonce), Some(b':'), Some(secret_box)) => Ok(Some(Encrypted { nonce, secret_box })),
        _ => Err(NotEncrypted),
    }
}

/// The second message is not what the protocol says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotEncrypted;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found after each byte, until it is more than nothing.
    fn byte_by_byte(bytes: &[u8]) -> (usize, First) {
        let mut end = FirstEnd::default();
        for count in 1..=bytes.len() {
            match end.look(&bytes[..count]) {
                First::More => {}
                found => return (count, found),
            }
        }
        (bytes.len(), First::More)
    }

    #[test]
    fn a_request_in_clear_ends_with_its_last_brace_and_no_other() {
        for text in [
            r#"{"request":"check"}"#,
            r#" {"request":"mytoken","mytoken_profile":{"a":[{}]}}"#,
            r#"{"application_hint":"a } \" } \\","request":"check"}"#,
            "{\n}",
        ] {
            assert_eq!(byte_by_byte(text.as_bytes()), (text.len(), First::Object));
            assert_eq!(FirstEnd::default().look(text.as_bytes()), First::Object);
        }
        for text in ["", " ", "{", r#"{"a":"}"#, r#"{"a":"}\""#, r#"{"a":[}"#] {
            assert_eq!(byte_by_byte(text.as_bytes()).1, First::More, "{text}");
        }
    }

    #[test]
    fn a_key_has_44_characters_and_perhaps_a_line_end() {
        let key = b"LE6f4Y6klR8hGh4zEHGdee7EAoPzcbwDNXCx6MaWP0M=";
        assert_eq!(byte_by_byte(key), (44, First::Key(0)));
        let line = [b"\n", &key[..], b"\n"].concat();
        assert_eq!(FirstEnd::default().look(&line), First::Key(1));
        assert_eq!(FirstEnd::default().look(&line[..40]), First::More);
        let longer = [&key[..], b"A"].concat();
        assert_eq!(FirstEnd::default().look(&longer), First::Neither);
        for text in ["LE6f4Y6k\n", "GET / HTTP/1.1", "[1]", "\u{0}", "ä"] {
            let found = FirstEnd::default().look(text.as_bytes());
            assert_eq!(found, First::Neither, "{text}");
        }
    }

    #[test]
    fn an_encrypted_message_ends_where_its_length_says() {
        let whole = format!("2:{}:{}", "n".repeat(32), "b".repeat(24));
        let found = Encrypted {
            nonce: &[b'n'; 32],
            secret_box: &[b'b'; 24],
        };
        assert_eq!(encrypted(whole.as_bytes()), Ok(Some(found)));
        let more = format!("{whole}\n");
        assert_eq!(encrypted(more.as_bytes()), encrypted(whole.as_bytes()));
        for count in 0..whole.len() {
            assert_eq!(encrypted(&whole.as_bytes()[..count]), Ok(None), "{count}");
        }
    }

    #[test]
    fn a_length_that_is_too_long_is_refused_before_anything_of_it_came() {
        assert_eq!(encrypted(b"12000:"), Ok(None));
        for text in [
            "13000:",
            "123456",
            "99999999999999999999:",
            "-1:",
            ":",
            "1a",
            "{}",
        ] {
            assert_eq!(encrypted(text.as_bytes()), Err(NotEncrypted), "{text}");
        }
        let shifted = format!("2:{}:{}", "n".repeat(31), "b".repeat(25));
        assert_eq!(encrypted(shifted.as_bytes()), Err(NotEncrypted));
    }
}
