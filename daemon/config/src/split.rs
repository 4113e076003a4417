//! Cuts a configuration file into pieces that can be parsed one after the other.
//!
//! Parsed as a whole, a file with 100,000 accounts becomes half a gigabyte of tree. The TOML lexer finds the headers of `[account.NAME]`
//! tables; the accounts are then parsed in batches and the rest as one piece. Must never change the meaning of the file: everything that
//! is not plainly such a header stays in the rest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// How much text is parsed at once, in bytes. A single account may be longer.
const BATCH: usize = 64 * 1024;

/// A file cut in pieces.
#[derive(Debug)]
pub(super) struct Split {
    /// Everything but the accounts.
    pub(super) rest: Runs,
    /// Batches of accounts. All tables of one account are in the same batch.
    pub(super) batches: Vec<Batch>,
    /// Accounts with two headers: the first and the second place.
    pub(super) twice: Vec<(Range<usize>, Range<usize>)>,
}

/// Some accounts.
#[derive(Debug)]
pub(super) struct Batch(Vec<Runs>);

impl Batch {
    /// All of them as one piece.
    pub(super) fn whole(&self) -> Runs {
        let mut whole = Runs::default();
        self.0
            .iter()
            .flat_map(|runs| &runs.0)
            .for_each(|run| whole.push(run.file.clone()));
        whole
    }

    /// Each account as a piece of its own.
    pub(super) fn each(&self) -> &[Runs] {
        &self.0
    }
}

/// Stretches of a file, in bytes, that make a TOML document when put together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

/// A stretch that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// Where it begins in the document.
    at: usize,
    /// Where it is in the file.
    file: Range<usize>,
}

impl Runs {
    /// The document.
    pub(super) fn text<'f>(&self, file: &'f str) -> Cow<'f, str> {
        match &*self.0 {
            [run] => Cow::Borrowed(file.get(run.file.clone()).unwrap_or_default()),
            runs => runs
                .iter()
                .filter_map(|run| file.get(run.file.clone()))
                .collect(),
        }
    }

    /// The place in the file of a place in the document.
    pub(super) fn in_file(&self, place: &Range<usize>) -> Range<usize> {
        let start = self.offset(place.start);
        start..start + place.len()
    }

    /// Binary search: a document may have as many stretches as accounts, and every key's place is looked up.
    fn offset(&self, at: usize) -> usize {
        let after = self.0.partition_point(|run| run.at <= at);
        let run = after.checked_sub(1).and_then(|index| self.0.get(index));
        run.map_or(0, |run| (run.file.start + (at - run.at)).min(run.file.end))
    }

    fn push(&mut self, file: Range<usize>) {
        match self.0.last_mut() {
            _ if file.is_empty() => {}
            Some(last) if last.file.end == file.start => last.file.end = file.end,
            _ => self.0.push(Run {
                at: self.len(),
                file,
            }),
        }
    }

    fn len(&self) -> usize {
        self.0.last().map_or(0, |run| run.at + run.file.len())
    }
}

/// Cuts `file` at the headers of its account tables.
pub(super) fn split(file: &str) -> Split {
    let mut accounts = Accounts::default();
    let mut rest = Runs::default();
    let mut sections = Sections::new(file);
    let mut from = 0;
    let mut of = None;
    loop {
        let next = sections.next();
        let to = next.as_ref().map_or(file.len(), |section| section.at);
        match of {
            None => rest.push(from..to),
            Some(Owner::Account(index)) => accounts.push(index, from..to),
            Some(Owner::Nobody) => {}
        }
        let Some(section) = next else { break };
        from = section.at;
        of = section.account.map(|header| accounts.owner(file, header));
    }
    let Accounts { found, twice, .. } = accounts;
    Split {
        rest,
        batches: batches(found),
        twice,
    }
}

/// The owner of a table.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// The account with this number.
    Account(usize),
    /// No account: the table is a duplicate.
    Nobody,
}

#[derive(Debug, Default)]
struct Accounts<'f> {
    numbers: HashMap<&'f str, usize>,
    found: Vec<Runs>,
    headers: Vec<Option<Range<usize>>>,
    twice: Vec<(Range<usize>, Range<usize>)>,
}

impl<'f> Accounts<'f> {
    /// Compares a name as it is written: `"a"` and `a` become two accounts here, and their names are compared later.
    fn owner(&mut self, file: &'f str, header: Header) -> Owner {
        let name = file.get(header.name.clone()).unwrap_or_default();
        let next = self.found.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.found.push(Runs::default());
            self.headers.push(None);
        }
        let Some(first) = self.headers.get_mut(number).filter(|_| header.complete) else {
            return Owner::Account(number);
        };
        match first {
            Some(first) => {
                self.twice.push((first.clone(), header.name));
                Owner::Nobody
            }
            None => {
                *first = Some(header.name);
                Owner::Account(number)
            }
        }
    }

    fn push(&mut self, number: usize, run: Range<usize>) {
        if let Some(runs) = self.found.get_mut(number) {
            runs.push(run);
        }
    }
}

fn batches(accounts: Vec<Runs>) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut size = 0;
    for account in accounts {
        size += account.len();
        batch.push(account);
        if size >= BATCH {
            batches.push(Batch(std::mem::take(&mut batch)));
            size = 0;
        }
    }
    if !batch.is_empty() {
        batches.push(Batch(batch));
    }
    batches
}

/// Where a table begins.
#[derive(Debug)]
struct Section {
    at: usize,
    account: Option<Header>,
}

/// The header of an account's table.
#[derive(Debug)]
struct Header {
    name: Range<usize>,
    /// Whether it is `[account.NAME]` and not `[account.NAME.more]`.
    complete: bool,
}

/// The table headers of a document: a `[` that begins a line outside of any value.
struct Sections<'f> {
    file: &'f str,
    tokens: Box<dyn Iterator<Item = Token> + 'f>,
}

impl<'f> Sections<'f> {
    fn new(file: &'f str) -> Self {
        Self {
            file,
            tokens: Box::new(Source::new(file).lex()),
        }
    }

    fn next(&mut self) -> Option<Section> {
        // This is called only at the start and after a header, so always at the start of a line or on a line without values.
        let mut depth = 0usize;
        let mut line_start = true;
        while let Some(token) = self.tokens.next() {
            match token.kind() {
                TokenKind::Newline => line_start = true,
                TokenKind::Whitespace => {}
                TokenKind::LeftSquareBracket if line_start && depth == 0 => {
                    return Some(Section {
                        at: token.span().start(),
                        account: self.header(),
                    });
                }
                kind => {
                    line_start = false;
                    match kind {
                        TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
                        TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                            depth = depth.saturating_sub(1);
                        }
                        _ => {}
                    }
                }
            }
        }
        None
    }

    /// Reads to the end of the header's line.
    fn header(&mut self) -> Option<Header> {
        let mut parts: Vec<(TokenKind, Range<usize>)> = Vec::new();
        for token in self.tokens.by_ref() {
            match token.kind() {
                TokenKind::Newline | TokenKind::Eof => break,
                TokenKind::Whitespace | TokenKind::Comment => {}
                // More parts than any `[account…]` header has.
                _ if parts.len() > 8 => {}
                kind => parts.push((kind, token.span().start()..token.span().end())),
            }
        }
        let [
            (TokenKind::Atom, first),
            (TokenKind::Dot, _),
            (name_kind, name),
            (after, _),
            ..,
        ] = &*parts
        else {
            return None;
        };
        let is_key = matches!(
            name_kind,
            TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString
        );
        let is_account = self.file.get(first.clone()) == Some("account") && is_key;
        is_account.then(|| Header {
            name: name.clone(),
            complete: *after == TokenKind::RightSquareBracket,
        })
    }
}

#[cfg(test)]
mod tests;
