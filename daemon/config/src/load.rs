//! Reads the files of a configuration, piece by piece, and puts it together.
//!
//! Owns the order: the daemon's own settings first, since accounts inherit from them, then the accounts of each file. Text is
//! parsed in batches, so that the memory for it does not grow with the number of accounts.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_policy::Directory;
use tokend_proto::AccountName;
use toml::Spanned;
use toml::de::DeTable;

use super::account::{Account, Reader};
use super::configuration::{Config, Overrides};
use super::dialects::Dialects;
use super::files::Files;
use super::head::Head;
use super::locations::Environment;
use super::marks::Marks;
use super::mistake::{ConfigError, Mistakes, Place, SourceFile};
use super::piece::Piece;
use super::section::{Key, Section};
use super::split::{Runs, Split, split};
use super::unchanged::{InForce, Unchanged};
use super::value::Value;

/// The longest file, in bytes: about half a million accounts.
const LONGEST_FILE: u64 = 128 << 20;

impl Config {
    /// Reads and checks the configuration at `path`. Contacts nobody and fetches no secret.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::load_from(
            &Files::system(),
            Directory::system(),
            path,
            overrides,
            environment,
        )
    }

    /// The same, from other files and with other users and groups than this machine has.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_from(
        files: &Files,
        directory: Directory,
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::load_keeping(files, directory, path, overrides, environment, &|_| None)
    }

    /// The same, with the accounts that are in force as the very same values where nothing of them differs: then a reload takes little
    /// memory and leaves no holes in it, and who compares finds them the same at a glance.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_keeping(
        files: &Files,
        directory: Directory,
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
        in_force: &InForce<'_>,
    ) -> Result<Self, ConfigError> {
        let marks = &mut Marks::default();
        let (given, sources) = ((path, overrides, environment), (files, directory));
        let loaded = load(given, sources, marks, in_force);
        loaded.map_err(|error| error.with_shortage(files.met_a_shortage()))
    }

    /// The same as [`Config::load`], and where each rule stands.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_with_marks(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<(Self, Marks), ConfigError> {
        let mut marks = Marks::kept();
        let (given, files) = ((path, overrides, environment), Files::system());
        let sources = (&files, Directory::system());
        let loaded = load(given, sources, &mut marks, &|_| None);
        match loaded {
            Ok(config) => Ok((config, marks)),
            Err(error) => Err(error.with_shortage(files.met_a_shortage())),
        }
    }
}

/// Reads the configuration at a path, from files and with users and groups.
#[expect(
    clippy::too_many_lines,
    reason = "one step for each part of the files, in the order in which mistakes are told"
)]
pub(super) fn load(
    (path, overrides, environment): (&Path, &Overrides, &Environment),
    (files, mut directory): (&Files, Directory),
    marks: &mut Marks,
    in_force: &InForce<'_>,
) -> Result<Config, ConfigError> {
    let mut mistakes = Mistakes::default();
    let Some(main) = read_file(files, path, &mut mistakes) else {
        return Err(mistakes.into_error());
    };
    let pieces = split(&main.text);
    let text = pieces.rest.text(&main.text);
    let table = parse_rest(&main, &pieces.rest, &text, &mut mistakes);
    let mut root = Section::root(
        Piece {
            file: &main,
            runs: &pieces.rest,
        },
        &table,
    );
    let head = Head::read(
        &mut root,
        &main.base,
        environment,
        files,
        &mut directory,
        marks,
        &mut mistakes,
    );
    let others = root.take("account");
    root.finish(&mut mistakes);

    let dialects = Dialects::load(files, &head.dialect_files, &mut mistakes);
    let mut accounts = Accounts::new(
        Reader::new(dialects, directory, head.defaults, head.groups),
        marks,
        in_force,
    );
    accounts.add_file(&main, &pieces, others, &mut mistakes);
    accounts.include(files, &head.include_files, &mut mistakes);
    let seen = &accounts.seen;
    head.members.check(
        |name| seen.contains_key(name),
        || seen.keys().map(AccountName::as_str).collect(),
        &mut mistakes,
    );
    let Accounts {
        mut found,
        files: read,
        reader,
        unchanged,
        ..
    } = accounts;
    unchanged.share(&mut found);
    let names = reader.directory.names();
    let mut http = head.http;
    let named = reader
        .proxies()
        .filter(|own| Some(*own) != http.proxy.as_ref());
    let named: Vec<_> = named.cloned().collect();
    http.proxies.extend(named);
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.shrink_to_fit();
    let unresolved = mistakes.take_unresolved();
    mistakes.finish(Config {
        socket: overrides
            .socket
            .clone()
            .or(head.socket)
            .unwrap_or_else(|| environment.socket()),
        socket_mode: head.socket_mode,
        state_dir: overrides
            .state_dir
            .clone()
            .or(head.state_dir)
            .unwrap_or_else(|| environment.state_dir()),
        admin: head.admin,
        limits: head.limits,
        log: head.log,
        audit: head.audit,
        metrics: head.metrics,
        http,
        accounts: found,
        files: read.iter().map(|file| file.path.to_path_buf()).collect(),
        stamps: files.stamps(),
        unresolved,
        names,
    })
}

/// The accounts read so far.
struct Accounts<'m> {
    reader: Reader,
    unchanged: Unchanged<'m>,
    marks: &'m mut Marks,
    found: Vec<Arc<Account>>,
    /// Where each name was seen first, right or wrong: the number of its file, and the bytes there.
    seen: HashMap<AccountName, (usize, Range<usize>)>,
    files: Vec<Arc<SourceFile>>,
}

impl<'m> Accounts<'m> {
    fn new(reader: Reader, marks: &'m mut Marks, in_force: &'m InForce<'m>) -> Self {
        Self {
            reader,
            unchanged: Unchanged::new(in_force),
            marks,
            found: Vec::new(),
            seen: HashMap::new(),
            files: Vec::new(),
        }
    }

    fn include(&mut self, files: &Files, paths: &[PathBuf], mistakes: &mut Mistakes) {
        for path in paths {
            let Some(file) = read_file(files, path, mistakes) else {
                continue;
            };
            let pieces = split(&file.text);
            let text = pieces.rest.text(&file.text);
            let table = parse_rest(&file, &pieces.rest, &text, mistakes);
            let mut others = None;
            for (key, value) in Section::root(
                Piece {
                    file: &file,
                    runs: &pieces.rest,
                },
                &table,
            )
            .entries()
            {
                if key.name == "account" {
                    others = Some(value);
                } else {
                    let message = format!(
                        "`{}` cannot stand here: an included file holds only accounts",
                        key.name
                    );
                    key.wrong(
                        mistakes,
                        message,
                        "put it into the file that has `include_dir`".to_owned(),
                    );
                }
            }
            self.add_file(&file, &pieces, others, mistakes);
        }
    }

    /// Adds the accounts of one file: those with a header of their own, and `others` that are written in another way.
    fn add_file(
        &mut self,
        file: &Arc<SourceFile>,
        pieces: &Split,
        others: Option<Value<'_>>,
        mistakes: &mut Mistakes,
    ) {
        self.files.push(Arc::clone(file));
        if let Some(others) = others {
            self.add_table(others, mistakes);
        }
        for batch in &pieces.batches {
            if self.add_piece(file, &batch.whole(), None, mistakes) {
                continue;
            }
            // One account that is no TOML must not hide what is wrong with its neighbours.
            for runs in batch.each() {
                let mut broken = Vec::new();
                self.add_piece(file, runs, Some(&mut broken), mistakes);
                broken
                    .into_iter()
                    .for_each(|error| note_syntax(file, runs, &error, mistakes));
            }
        }
        for (first, second) in &pieces.twice {
            let name = file.text.get(second.clone()).unwrap_or_default();
            let help = already(file, first, mistakes);
            let place = Place {
                range: second.clone(),
                show: true,
            };
            mistakes.add(
                file,
                place,
                format!("account {name} is defined twice"),
                help,
            );
        }
    }

    /// Adds the accounts of a piece, or gives what is wrong with its TOML to `broken`.
    fn add_piece(
        &mut self,
        file: &SourceFile,
        runs: &Runs,
        broken: Option<&mut Vec<toml::de::Error>>,
        mistakes: &mut Mistakes,
    ) -> bool {
        let text = runs.text(&file.text);
        let (table, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            broken
                .into_iter()
                .for_each(|broken| broken.clone_from(&errors));
            return false;
        }
        if let Some(accounts) = Section::root(Piece { file, runs }, &table).take("account") {
            self.add_table(accounts, mistakes);
        }
        true
    }

    fn add_table(&mut self, accounts: Value<'_>, mistakes: &mut Mistakes) {
        for (key, value) in accounts
            .section(mistakes)
            .into_iter()
            .flat_map(Section::entries)
        {
            self.add(&key, value, mistakes);
        }
    }

    fn add(&mut self, key: &Key<'_>, value: Value<'_>, mistakes: &mut Mistakes) {
        let name: AccountName = match key.name.parse() {
            Ok(name) => name,
            Err(error) => {
                return key.wrong(mistakes, tokend_proto::NameError::to_string(&error), None);
            }
        };
        let number = self.files.len().saturating_sub(1);
        if let Some((first, range)) = self.seen.get(&name) {
            let first = self
                .files
                .get(*first)
                .and_then(|file| already(file, range, mistakes));
            return key.wrong(mistakes, format!("account {name} is defined twice"), first);
        }
        self.seen.insert(name.clone(), (number, key.place().range));
        let Some(file) = self.files.last() else {
            return;
        };
        let base = &file.base;
        let account = self
            .reader
            .read(name, key, value, base, self.marks, mistakes);
        if let Some(account) = account {
            self.found.push(self.unchanged.keep(account));
        }
    }
}

/// Where something stands that must not stand again. Finding its line is slow, so not for a mistake that will not be kept.
fn already(file: &SourceFile, first: &Range<usize>, mistakes: &Mistakes) -> Option<String> {
    let place = Place {
        range: first.clone(),
        show: true,
    };
    (!mistakes.is_full()).then(|| format!("it stands at {} already", file.position(&place)))
}

fn read_file(files: &Files, path: &Path, mistakes: &mut Mistakes) -> Option<Arc<SourceFile>> {
    let text = files.text(path, LONGEST_FILE, mistakes)?;
    Some(Arc::new(SourceFile {
        path: path.into(),
        base: base_of(path),
        text,
    }))
}

/// The part of a file that is not accounts; empty where it is no TOML.
fn parse_rest<'t>(
    file: &SourceFile,
    runs: &Runs,
    text: &'t str,
    mistakes: &mut Mistakes,
) -> Spanned<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return table;
    }
    errors
        .iter()
        .for_each(|error| note_syntax(file, runs, error, mistakes));
    Spanned::new(0..0, DeTable::new())
}

fn note_syntax(file: &SourceFile, runs: &Runs, error: &toml::de::Error, mistakes: &mut Mistakes) {
    let range = runs.in_file(&error.span().unwrap_or(0..0));
    mistakes.add_syntax(file, range, error.message());
}

/// The directory of a file, from which relative paths in it are taken.
fn base_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
