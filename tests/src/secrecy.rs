//! Looks for secrets where they must not be, in every form they can take.
//!
//! Knows how a text is wrapped on its way to a provider and back, and nothing of how the daemon hides it: a mistake that both made would
//! never be found. It must rather find too much than too little.

use std::collections::BTreeSet;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

/// A shorter remainder of a text in base64 is found by chance.
const LEAST: usize = 8;

/// A secret in every form: as it is, percent-encoded, as JSON, in hexadecimal, and inside a longer text in base64.
#[must_use]
pub fn forms(secret: &str) -> BTreeSet<String> {
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        percent_encoded(secret),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
    ]);
    forms.extend(in_json(secret));
    forms.extend(in_base64(secret));
    forms.extend(in_base64(&form));
    forms.insert(form);
    forms
}

/// The forms of secrets found in a text.
#[must_use]
pub fn found(text: &str, secrets: &[String]) -> Vec<String> {
    Search::of(secrets).found(text.as_bytes())
}

/// All forms of many secrets, searched for at once. A secret of one byte would be everywhere and is ignored.
pub struct Search {
    /// The forms, indexed by their first two bytes.
    beginnings: Vec<Vec<String>>,
}

impl Search {
    /// Looks for these secrets in every form.
    #[must_use]
    pub fn of(secrets: &[String]) -> Self {
        Self::of_all(secrets.iter().flat_map(|secret| forms(secret)).collect())
    }

    /// Looks for any this many bytes in a row of these secrets, as code that hashes or copies them leaves behind: as they are, and with
    /// the byte order of each word reversed, as SHA-256 reads them. A shorter secret is searched for as it is.
    #[must_use]
    pub fn of_pieces(secrets: &[String], length: usize) -> Self {
        let pieces = secrets.iter().flat_map(|secret| {
            let pieces = secret.as_bytes().windows(length.min(secret.len()).max(1));
            pieces.flat_map(|piece| {
                let turned = piece.chunks(4).flat_map(|word| word.iter().rev().copied());
                [piece.to_vec(), turned.collect()]
            })
        });
        Self::of_all(
            pieces
                .filter_map(|piece| String::from_utf8(piece).ok())
                .collect(),
        )
    }

    fn of_all(all: BTreeSet<String>) -> Self {
        let mut beginnings = vec![Vec::new(); 1 << 16];
        for form in all {
            if let [first, second, ..] = form.as_bytes()
                && let Some(forms) = beginnings.get_mut(place(*first, *second))
            {
                forms.push(form);
            }
        }
        Self { beginnings }
    }

    /// The forms found in these bytes, each once.
    #[must_use]
    pub fn found(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            let [first, second] = pair else { continue };
            let forms = self.beginnings.get(place(*first, *second));
            let forms = forms.map(Vec::as_slice).unwrap_or_default();
            if forms.is_empty() {
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let here = forms
                .iter()
                .filter(|form| rest.starts_with(form.as_bytes()));
            found.extend(here.cloned());
        }
        found.into_iter().collect()
    }
}

fn place(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

/// As in RFC 3986: all but the unreserved characters.
fn percent_encoded(secret: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = secret.bytes().map(|byte| match stays(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// With what must be escaped, with all that is not ASCII, with slashes too, and with every character.
fn in_json(secret: &str) -> [String; 4] {
    let quoted = serde_json::Value::from(secret).to_string();
    let least = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    let ascii = least.chars().map(|letter| match letter.is_ascii() {
        true => letter.to_string(),
        false => json_escaped(letter),
    });
    let ascii: String = ascii.collect();
    let slashes = ascii.replace('/', "\\/");
    let every = secret.chars().map(json_escaped).collect();
    [least.to_owned(), ascii, slashes, every]
}

fn json_escaped(letter: char) -> String {
    let mut buffer = [0; 2];
    let units = letter.encode_utf16(&mut buffer).iter();
    units.map(|unit| format!("\\u{unit:04x}")).collect()
}

/// In both alphabets, wherever the text begins in the encoded bytes.
fn in_base64(text: &str) -> Vec<String> {
    let engines = [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD];
    let cores = engines
        .iter()
        .flat_map(|engine| (0..3).map(move |before| stable(engine, text, before)));
    cores.filter(|core| core.len() >= LEAST).collect()
}

/// The characters that stay the same whatever surrounds the text; `before` is the number of bytes in front of it.
fn stable(engine: &impl Engine, text: &str, before: usize) -> String {
    let among = |neighbour: u8| {
        let (before, after) = (vec![neighbour; before], [neighbour; 2]);
        engine.encode([before.as_slice(), text.as_bytes(), &after].concat())
    };
    let (zeros, ones) = (among(0x00), among(0xff));
    let pairs = zeros.chars().zip(ones.chars());
    pairs
        .filter(|(zero, one)| zero == one)
        .map(|(same, _)| same)
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

    use super::*;

    const SECRET: &str = "p%40ss wörd/&+=é\"";
    const FORM: &str = "p%2540ss+w%C3%B6rd%2F%26%2B%3D%C3%A9%22";
    const ANOTHER: &str = "p%41ss wörd/&+=é\"";

    fn is_found(text: &str) -> bool {
        !found(text, &[SECRET.to_owned()]).is_empty()
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_in_what_is_in_base64() {
        // Three lengths, and so three offsets at which it can begin.
        for user in ["johndoe", "john.doe", "john.does"] {
            for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
                let basic = engine.encode(format!("{user}:{SECRET}"));
                let header = format!("Authorization: Basic {basic}");
                assert!(is_found(&header), "{header}");
                let body = format!("grant_type=password&user={user}&password={FORM}&x=1");
                let body = engine.encode(body);
                assert!(is_found(&body), "{body}");
            }
        }
    }

    #[test]
    fn a_secret_is_found_in_every_other_form() {
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        let echoes = [
            format!("the password is {SECRET}"),
            format!("grant_type=password&password={FORM}&x=1"),
            "https://example.com/p%2540ss%20w%C3%B6rd%2F%26%2B%3D%C3%A9%22/".to_owned(),
            serde_json::json!({ "detail": SECRET }).to_string(),
            r#"{"detail":"p%40ss w\u00f6rd/&+=\u00e9\""}"#.to_owned(),
            r#"{"detail":"p%40ss w\u00f6rd\/&+=\u00e9\""}"#.to_owned(),
            hex.to_uppercase(),
            hex,
        ];
        for echo in echoes {
            assert!(is_found(&echo), "{echo}");
        }
    }

    #[test]
    fn a_piece_of_a_secret_is_found_also_with_its_words_turned_round() {
        let search = Search::of_pieces(&["0123456789abcdefgh".to_owned(), "short".to_owned()], 8);
        for text in [
            "x01234567x",
            "abcdefgh",
            "\0\x013456789ab",
            "7654ba98",
            "a short one",
        ] {
            assert!(!search.found(text.as_bytes()).is_empty(), "{text}");
        }
        for text in ["0123456", "shor", "76543210x"] {
            assert!(search.found(text.as_bytes()).len() <= 1, "{text}");
        }
        assert!(search.found(b"0123456 shor 7654321").is_empty());
    }

    #[test]
    fn what_only_resembles_a_secret_is_not_found() {
        let texts = [
            String::new(),
            "p".to_owned(),
            ANOTHER.to_owned(),
            FORM.replace("2540", "2541"),
            BASE64_STANDARD.encode(format!("johndoe:{ANOTHER}")),
            BASE64_STANDARD.encode("grant_type=password&password=&x=1"),
            serde_json::json!({ "detail": ANOTHER }).to_string(),
        ];
        for text in texts {
            assert!(!is_found(&text), "{text}");
        }
    }

    #[test]
    fn what_is_found_is_named_once_and_by_its_form() {
        let secrets = [SECRET.to_owned(), "another".to_owned()];
        let text = format!("{FORM} and again {FORM}");
        assert_eq!(found(&text, &secrets), [FORM]);
        let [own, other] = [SECRET, "another"].map(forms);
        assert!(own.len() >= 15, "{own:?}");
        assert!(
            other.iter().all(|form| form.len() >= "another".len()),
            "nothing so short that it is found by chance: {other:?}"
        );
    }
}
