//! Which parts of a dialect file's lines a report may show.

use tokend_document::Language;

/// The language of dialect files.
#[derive(Debug)]
pub(crate) struct DialectLanguage;

/// Parts of the names of keys whose values are secrets in an account, and placeholders here.
const SECRETIVE: [&str; 5] = ["password", "passwd", "secret", "token", "key"];

fn is_secretive(text: &str) -> bool {
    let text = text.to_lowercase();
    SECRETIVE.iter().any(|word| text.contains(word))
}

/// A dialect has no secrets, and its values help to understand a mistake. Only a value that may have replaced a placeholder is hidden.
impl Language for DialectLanguage {
    fn is_plain(&self, key: &str, value: &str) -> bool {
        let is_known = !key.is_empty() && !value.is_empty() && !value.contains('\\');
        let is_pointer = |byte: u8| byte.is_ascii_lowercase() || b"/_-".contains(&byte);
        let is_place = value.starts_with('{')
            || value.starts_with('/') && value.bytes().all(is_pointer)
            || ["true", "false"].contains(&value);
        is_known && (is_place || !is_secretive(key))
    }

    fn is_plain_line(&self, key: &str, value: &str) -> bool {
        !is_secretive(key) && !is_secretive(value)
    }

    fn is_toml(&self) -> &'static str {
        "a dialect is TOML: lines of `key = value` below headers such as `[login]`; `tokend dialect show oauth2` shows one"
    }
}
