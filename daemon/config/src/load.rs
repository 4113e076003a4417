//! Reads the files of a configuration, piece by piece, and puts it together.
//!
//! Owns the order: the daemon's own settings first, since accounts inherit from them, then the accounts of each file. Text is
//! parsed in batches, so that the memory for it does not grow with the number of accounts.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokend_document::{Diagnostics, Key, Mark, Node, Section, Source, Span, Syntax, Value};
use tokend_policy::Directory;
use tokend_proto::AccountName;

use super::account::{Account, Reader};
use super::configuration::{Config, Overrides};
use super::dialects::Dialects;
use super::error::ConfigError;
use super::files::Files;
use super::globals::{DaemonSettings, Globals};
use super::group::Members;
use super::language::Configuration;
use super::locations::Environment;
use super::rule_origins::RuleOrigins;
use super::split::{Runs, Split, split};
use super::stamps::Stamps;
use super::unchanged::{InForce, Unchanged};
use super::unresolved::Principals;

/// The longest file, in bytes: about half a million accounts.
const LONGEST_FILE: u64 = 128 << 20;

impl Config {
    /// Reads and checks the configuration at `path`. Contacts no provider and fetches no secret.
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

    /// The same, but with other files, users and groups than those of this machine.
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

    /// The same, but keeps the accounts in force that did not change as the very same values. A reload then takes little memory and does
    /// not fragment it, and a caller can compare accounts by address.
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
        let origins = &mut RuleOrigins::default();
        let (inputs, sources) = ((path, overrides, environment), (files, directory));
        load(inputs, sources, origins, in_force)
    }

    /// The same as [`Config::load`], and the place of each rule.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_with_marks(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<(Self, RuleOrigins), ConfigError> {
        let mut origins = RuleOrigins::kept();
        let (inputs, files) = ((path, overrides, environment), Files::system());
        let sources = (&files, Directory::system());
        let config = load(inputs, sources, &mut origins, &|_| None)?;
        Ok((config, origins))
    }
}

/// Reads the configuration at a path, from files and with users and groups.
pub(super) fn load(
    (path, overrides, environment): (&Path, &Overrides, &Environment),
    (files, directory): (&Files, Directory),
    origins: &mut RuleOrigins,
    in_force: &InForce<'_>,
) -> Result<Config, ConfigError> {
    let mut diagnostics = Diagnostics::default();
    let sources = (files, directory);
    match read(
        path,
        environment,
        sources,
        origins,
        in_force,
        &mut diagnostics,
    ) {
        Some((settings, accounts)) if diagnostics.is_empty() => {
            let stamps = files.stamps();
            Ok(accounts.into_config(settings, overrides, environment, stamps))
        }
        _ => Err(ConfigError::new(diagnostics, files.shortages())),
    }
}

/// Reads the file at `path` and those it names.
fn read<'m>(
    path: &Path,
    environment: &Environment,
    (files, directory): (&Files, Directory),
    origins: &'m mut RuleOrigins,
    in_force: &'m InForce<'m>,
    diagnostics: &mut Diagnostics,
) -> Option<(DaemonSettings, Accounts<'m>)> {
    let main = read_file(files, path, diagnostics)?;
    let pieces = split(main.source.text());
    let text = pieces.rest.text(main.source.text());
    let node = parse_rest(&main, &pieces.rest, &text, diagnostics);
    let mut root = Section::root(&node);
    let mut principals = Principals::new(directory);
    let globals = Globals::read(
        &mut root,
        &main.base,
        environment,
        files,
        &mut principals,
        origins,
        diagnostics,
    );
    let others = root.take("account");
    root.finish(diagnostics);

    let dialects = Dialects::load(files, globals.dialect_files.as_deref(), diagnostics);
    let reader = Reader::new(dialects, principals, globals.defaults, globals.groups);
    let mut accounts = Accounts::new(reader, origins, in_force);
    accounts.add_file(&main, &pieces, others, diagnostics);
    match &globals.include_files {
        Some(paths) => accounts.include(files, paths, diagnostics),
        None => accounts.is_complete = false,
    }
    accounts.check(globals.members, diagnostics);
    Some((globals.settings, accounts))
}

/// The accounts read so far.
struct Accounts<'m> {
    reader: Reader,
    unchanged: Unchanged<'m>,
    origins: &'m mut RuleOrigins,
    found: Vec<Arc<Account>>,
    /// The first place of each name, right or wrong: the number of its file, and the bytes there.
    seen: HashMap<AccountName, (usize, Range<usize>)>,
    files: Vec<Arc<SourceFile>>,
    /// Whether all files that can contain accounts could be read.
    is_complete: bool,
}

impl<'m> Accounts<'m> {
    fn new(reader: Reader, origins: &'m mut RuleOrigins, in_force: &'m InForce<'m>) -> Self {
        Self {
            reader,
            unchanged: Unchanged::new(in_force),
            origins,
            found: Vec::new(),
            seen: HashMap::new(),
            files: Vec::new(),
            is_complete: true,
        }
    }

    fn include(&mut self, files: &Files, paths: &[PathBuf], diagnostics: &mut Diagnostics) {
        for path in paths {
            let Some(file) = read_file(files, path, diagnostics) else {
                self.is_complete = false;
                continue;
            };
            let pieces = split(file.source.text());
            let text = pieces.rest.text(file.source.text());
            let node = parse_rest(&file, &pieces.rest, &text, diagnostics);
            let mut others = None;
            for (key, value) in Section::root(&node).entries() {
                if key.name == "account" {
                    others = Some(value);
                } else {
                    let message = format!(
                        "`{}` cannot stand here: an included file holds only accounts",
                        key.name
                    );
                    let help = "put it into the file that has `include_dir`".to_owned();
                    key.note(diagnostics, message, help);
                }
            }
            self.add_file(&file, &pieces, others, diagnostics);
        }
    }

    /// Notes unknown accounts that groups name. Notes none when a file could not be read, since the account may be in that file.
    fn check(&self, members: Members<'_>, diagnostics: &mut Diagnostics) {
        if self.is_complete {
            let known = || self.seen.keys().map(AccountName::as_str).collect();
            members.check(|name| self.seen.contains_key(name), known, diagnostics);
        }
    }

    fn into_config(
        self,
        settings: DaemonSettings,
        overrides: &Overrides,
        environment: &Environment,
        stamps: Stamps,
    ) -> Config {
        let (mut http, mut accounts) = (settings.http, self.found);
        self.unchanged.share(&mut accounts);
        let named = self.reader.proxies();
        let named = named.filter(|own| Some(*own) != http.proxy.as_ref());
        let named: Vec<_> = named.cloned().collect();
        http.proxies.extend(named);
        accounts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        accounts.shrink_to_fit();
        let files = self.files.iter();
        let (socket, state_dir) = (overrides.socket.clone(), overrides.state_dir.clone());
        Config {
            socket: socket
                .or(settings.socket)
                .unwrap_or_else(|| environment.socket()),
            socket_mode: settings.socket_mode,
            state_dir: state_dir
                .or(settings.state_dir)
                .unwrap_or_else(|| environment.state_dir()),
            admin: settings.admin,
            limits: settings.limits,
            log: settings.log,
            audit: settings.audit,
            metrics: settings.metrics,
            http,
            accounts,
            files: files.map(|file| file.path.clone()).collect(),
            stamps,
            names: self.reader.principals.directory.names(),
            unresolved: self.reader.principals.into_unresolved(),
        }
    }

    /// Adds the accounts of one file: those with a header of their own, and `others` that are written in another way.
    fn add_file(
        &mut self,
        file: &Arc<SourceFile>,
        pieces: &Split,
        others: Option<Value<'_>>,
        diagnostics: &mut Diagnostics,
    ) {
        self.files.push(Arc::clone(file));
        if let Some(others) = others {
            self.add_table(others, diagnostics);
        }
        for batch in &pieces.batches {
            if self.add_piece(file, &batch.whole(), None, diagnostics) {
                continue;
            }
            // A syntax error in one account must not hide the mistakes of the others.
            for runs in batch.each() {
                let mut broken = Vec::new();
                self.add_piece(file, runs, Some(&mut broken), diagnostics);
                broken
                    .into_iter()
                    .for_each(|error| diagnostics.add_syntax(&error));
            }
        }
        for (first, second) in &pieces.twice {
            let name = file.source.text().get(second.clone());
            let message = format!("account {} is defined twice", name.unwrap_or_default());
            let help = already(file, first, diagnostics);
            diagnostics.add(&file.span(second), Mark::Shown, message, help);
        }
    }

    /// Adds the accounts of a piece, or adds its syntax errors to `broken`.
    fn add_piece(
        &mut self,
        file: &SourceFile,
        runs: &Runs,
        broken: Option<&mut Vec<Syntax>>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let text = runs.text(file.source.text());
        match file.parse(runs, &text) {
            Ok(node) => {
                if let Some(accounts) = Section::root(&node).take("account") {
                    self.add_table(accounts, diagnostics);
                }
                true
            }
            Err(errors) => {
                broken
                    .into_iter()
                    .for_each(|broken| *broken = errors.clone());
                false
            }
        }
    }

    fn add_table(&mut self, accounts: Value<'_>, diagnostics: &mut Diagnostics) {
        for (key, value) in accounts
            .section(diagnostics)
            .into_iter()
            .flat_map(Section::entries)
        {
            self.add(key, value, diagnostics);
        }
    }

    fn add(&mut self, key: &Key<'_>, value: Value<'_>, diagnostics: &mut Diagnostics) {
        let name: AccountName = match key.name.parse() {
            Ok(name) => name,
            Err(error) => {
                return key.note(
                    diagnostics,
                    tokend_proto::NameError::to_string(&error),
                    None,
                );
            }
        };
        let number = self.files.len().saturating_sub(1);
        if let Some((first, range)) = self.seen.get(&name) {
            let first = self
                .files
                .get(*first)
                .and_then(|file| already(file, range, diagnostics));
            return key.note(
                diagnostics,
                format!("account {name} is defined twice"),
                first,
            );
        }
        self.seen
            .insert(name.clone(), (number, key.span.range.clone()));
        let Some(file) = self.files.last() else {
            return;
        };
        let base = &file.base;
        let account = self
            .reader
            .read(name, key, value, base, self.origins, diagnostics);
        if let Some(account) = account {
            self.found.push(self.unchanged.keep(account));
        }
    }
}

/// The first place of a duplicate. Finding its line is slow, so this is skipped for a mistake that will not be kept.
fn already(file: &SourceFile, first: &Range<usize>, diagnostics: &Diagnostics) -> Option<String> {
    (!diagnostics.is_full())
        .then(|| format!("it stands at {} already", file.span(first).position()))
}

/// A file as it was read.
#[derive(Debug)]
struct SourceFile {
    /// Its path, as it was given or found.
    path: PathBuf,
    /// Its directory, from which relative paths in it are taken.
    base: PathBuf,
    /// Its text.
    source: Arc<Source>,
}

impl SourceFile {
    fn span(&self, range: &Range<usize>) -> Span {
        Span {
            source: Arc::clone(&self.source),
            range: range.clone(),
        }
    }

    /// Parses stretches of the file, which are `text`.
    fn parse<'t>(&self, runs: &Runs, text: &'t str) -> Result<Node<'t>, Vec<Syntax>> {
        Node::parse(&self.source, text, |range| runs.in_file(&range))
    }
}

fn read_file(files: &Files, path: &Path, diagnostics: &mut Diagnostics) -> Option<Arc<SourceFile>> {
    let text = files.text(path, LONGEST_FILE, diagnostics)?;
    Some(Arc::new(SourceFile {
        path: path.to_path_buf(),
        base: base_of(path),
        source: Source::new(&path.display().to_string(), text, &Configuration),
    }))
}

/// The part of a file without the accounts; empty if it is not valid TOML.
fn parse_rest<'t>(
    file: &SourceFile,
    runs: &Runs,
    text: &'t str,
    diagnostics: &mut Diagnostics,
) -> Node<'t> {
    file.parse(runs, text).unwrap_or_else(|errors| {
        errors
            .iter()
            .for_each(|error| diagnostics.add_syntax(error));
        Node::empty(&file.source)
    })
}

/// The directory of a file, from which relative paths in it are taken.
fn base_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
