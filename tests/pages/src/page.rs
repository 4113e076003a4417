//! A page, and what it documents.

use std::path::{Path, PathBuf};

/// A page that was read.
#[derive(Debug)]
pub struct Page {
    /// Its path, for failure messages.
    path: PathBuf,
    /// Its source.
    text: String,
    entries: Vec<Entry>,
}

/// One documented thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The heading (`.Sh`) above it.
    pub section: String,
    /// The second-level heading (`.Ss`) above it; empty without one.
    pub subsection: String,
    /// The kind of thing.
    pub kind: Kind,
    /// Its names: `-c` and `--config`, or keys that are described together.
    pub names: Vec<String>,
    /// Its description, in the source's lines.
    pub text: String,
}

/// What a page can document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An option of a command line.
    Option,
    /// A key of a file.
    Key,
    /// An exit code.
    Code,
}

impl Page {
    /// Reads the page at `path`.
    ///
    /// # Panics
    /// When it cannot be read: this serves tests only.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let entries = entries(&text);
        Self {
            path: path.to_owned(),
            text,
            entries,
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its source.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Everything of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// The second-level headings below a section.
    pub fn subsections(&self, section: &str) -> Vec<String> {
        let mut inside = false;
        let mut found = Vec::new();
        for line in self.text.lines() {
            if let Some(heading) = line.strip_prefix(".Sh ") {
                inside = heading == section;
            } else if let (true, Some(heading)) = (inside, line.strip_prefix(".Ss ")) {
                found.push(plain(heading));
            }
        }
        found
    }

    /// The literal examples (`.Bd -literal`), as a reader sees them.
    pub fn examples(&self) -> Vec<String> {
        let parts = self.text.split("\n.Bd -literal").skip(1);
        parts
            .filter_map(|part| part.split_once('\n')?.1.split_once("\n.Ed"))
            .map(|(text, _)| text.replace("\\e", "\\"))
            .collect()
    }
}

/// A heading without its macros: `get Ar account` is `get`.
fn plain(heading: &str) -> String {
    let words = heading.split_whitespace();
    words
        .take_while(|word| !is_macro(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Macros of a heading or an item have two letters, the first in upper case.
fn is_macro(word: &str) -> bool {
    matches!(word.as_bytes(), [first, second] if first.is_ascii_uppercase() && second.is_ascii_lowercase())
}

fn entries(text: &str) -> Vec<Entry> {
    let (mut section, mut subsection) = (String::new(), String::new());
    let mut found: Vec<Entry> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix(".Sh ") {
            (section, subsection, open) = (heading.to_owned(), String::new(), false);
        } else if let Some(heading) = line.strip_prefix(".Ss ") {
            (subsection, open) = (plain(heading), false);
        } else if let Some((kind, names)) = line.strip_prefix(".It ").and_then(item) {
            open = true;
            found.push(Entry {
                section: section.clone(),
                subsection: subsection.clone(),
                kind,
                names,
                text: String::new(),
            });
        } else if let (true, Some(entry)) = (open, found.last_mut()) {
            entry.text.push_str(line);
            entry.text.push('\n');
        }
    }
    found
}

/// What an item documents, if it is one of the kinds that count.
fn item(head: &str) -> Option<(Kind, Vec<String>)> {
    let mut words = head.split_whitespace().filter(|word| *word != ",");
    match words.next()? {
        "Fl" => {
            let names = head.split("Fl ").skip(1);
            let named = names.filter_map(|rest| rest.split_whitespace().next());
            Some((Kind::Option, named.map(|name| format!("-{name}")).collect()))
        }
        "Ic" => {
            let names = words.take_while(|word| !is_macro(word)).map(str::to_owned);
            Some((Kind::Key, names.collect()))
        }
        code if code.bytes().all(|byte| byte.is_ascii_digit()) && head == code => {
            Some((Kind::Code, vec![code.to_owned()]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ".Sh COMMANDS\n.Ss get Ar account\n.Bl\n.It Fl c , Fl -config Ar file\nThe file.\n.It Cm auto\nnone\n.El\n\
                        .Sh [limits]\n.It Ic login_path , refresh_path Pq text\nfrom 1 to 9\n.Sh EXIT STATUS\n.It 64\nwrong\n";

    #[test]
    fn options_keys_and_codes_are_found_below_their_headings() {
        let found = entries(TEXT);
        let names: Vec<_> = found
            .iter()
            .map(|entry| {
                (
                    entry.section.as_str(),
                    entry.subsection.as_str(),
                    entry.names.join(" "),
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                ("COMMANDS", "get", "-c --config".to_owned()),
                ("[limits]", "", "login_path refresh_path".to_owned()),
                ("EXIT STATUS", "", "64".to_owned()),
            ]
        );
        assert_eq!(found[0].text, "The file.\n.It Cm auto\nnone\n.El\n");
        assert_eq!(found[1].text, "from 1 to 9\n");
    }
}
