//! How wide a text is, and lines of at most a width.

/// Breaks a text into lines of at most `width` columns, at blanks only.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How wide a text is shown. Names, states and our own sentences are narrow characters.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}
