//! Recognises files in other formats than TOML.

/// Whether a text is YAML or JSON, judged by its first line that is neither blank nor a comment.
pub(crate) fn is_foreign(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let Some(first) = lines.find(|line| !line.is_empty() && !line.starts_with('#')) else {
        return false;
    };
    let is_key = |key: &str| {
        !key.is_empty()
            && key
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c))
    };
    let is_yaml = first == "---" || first.split_once(':').is_some_and(|(key, _)| is_key(key));
    is_yaml || first.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_another_language_is_told_so() {
        for text in [
            "account:\n  ads: {}\n",
            "# x\n\n---\na: 1",
            "{\"account\": {}}",
            "socket: /run/s",
        ] {
            assert!(is_foreign(text), "{text}");
        }
        for text in [
            "",
            "[account.ads\n",
            "socket = \"a:b\"",
            "\"a:b\" = 1",
            "# a: b",
        ] {
            assert!(!is_foreign(text), "{text}");
        }
    }
}
