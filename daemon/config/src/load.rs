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
use super::group::{Members, account_name};
use super::language::Configuration;
use super::locations::Environment;
use super::reading::Reading;
use super::rule_origins::RuleOrigins;
use super::split::{Runs, Split, split};
use super::unchanged::{InForce, Unchanged};

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
        let files = Files::system();
        Self::load_from(&files, Directory::system(), path, overrides, environment)
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
        let reading = Reading::new(files, directory, RuleOrigins::default());
        Ok(load(reading, path, overrides, environment, in_force)?.0)
    }

    /// The same as [`Config::load`], and the place of each rule.
    ///
    /// # Errors
    ///
    /// All mistakes that were found, up to a bound.
    pub fn load_with_origins(
        path: &Path,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<(Self, RuleOrigins), ConfigError> {
        let files = Files::system();
        let reading = Reading::new(&files, Directory::system(), RuleOrigins::kept());
        load(reading, path, overrides, environment, &|_| None)
    }
}

/// Reads the configuration at `path`; the places of rules are kept if `reading` keeps them.
pub(super) fn load(
    mut reading: Reading<'_>,
    path: &Path,
    overrides: &Overrides,
    environment: &Environment,
    in_force: &InForce<'_>,
) -> Result<(Config, RuleOrigins), ConfigError> {
    let included = overrides.included.as_deref();
    match read(path, included, environment, in_force, &mut reading) {
        Some((settings, accounts)) if reading.diagnostics.is_empty() => {
            Ok(accounts.into_config(settings, overrides, environment, reading))
        }
        _ => Err(ConfigError::new(
            reading.diagnostics,
            reading.files.shortages(),
        )),
    }
}

/// Reads the file at `path`, those it names, and one more that is `included`.
fn read<'m>(
    path: &Path,
    included: Option<&Path>,
    environment: &Environment,
    in_force: &'m InForce<'m>,
    reading: &mut Reading<'_>,
) -> Option<(DaemonSettings, Accounts<'m>)> {
    let main = read_file(path, reading)?;
    let pieces = split(main.source.text());
    let text = pieces.rest.text(main.source.text());
    let node = parse_rest(&main, &pieces.rest, &text, &mut reading.diagnostics);
    let mut root = Section::root(&node);
    let globals = Globals::read(&mut root, environment, reading);
    let others = root.take("account");
    root.finish(&mut reading.diagnostics);

    let dialects = Dialects::load(globals.dialect_files.as_deref(), reading);
    let reader = Reader::new(dialects, globals.defaults, globals.groups);
    let mut accounts = Accounts::new(reader, in_force);
    accounts.add_file(&main, &pieces, others, reading);
    match &globals.include_files {
        Some(paths) => accounts.include(paths, reading),
        None => accounts.is_complete = false,
    }
    if let Some(file) = included {
        is_in(file, globals.include_dir.as_deref(), path, reading);
        accounts.include(&[file.to_path_buf()], reading);
    }
    accounts.check(globals.members, &mut reading.diagnostics);
    Some((globals.settings, accounts))
}

/// Notes that the configuration at `main` does not read the directory of `file`.
fn is_in(file: &Path, include_dir: Option<&Path>, main: &Path, reading: &mut Reading<'_>) {
    let whole = |path: &Path| {
        let resolved = std::fs::canonicalize(path);
        resolved.or_else(|_| std::path::absolute(path)).ok()
    };
    let dir = whole(file).and_then(|file| file.parent().map(Path::to_path_buf));
    if dir.is_none() || dir != include_dir.and_then(whole) {
        let dir = dir.unwrap_or_default();
        reading.diagnostics.add_file(
            &main.display().to_string(),
            format!("does not read the files in {}", dir.display()),
            Some(format!(
                "set `include_dir = \"{}\"` above the first [table], or put the file into the directory that is there",
                dir.display()
            )),
        );
    }
}

/// The accounts read so far.
struct Accounts<'m> {
    reader: Reader,
    unchanged: Unchanged<'m>,
    found: Vec<Arc<Account>>,
    /// The first place of each name, right or wrong: the number of its file, and the bytes there.
    seen: HashMap<AccountName, (usize, Range<usize>)>,
    files: Vec<Arc<SourceFile>>,
    /// Whether all files that can contain accounts could be read.
    is_complete: bool,
}

impl<'m> Accounts<'m> {
    fn new(reader: Reader, in_force: &'m InForce<'m>) -> Self {
        Self {
            reader,
            unchanged: Unchanged::new(in_force),
            found: Vec::new(),
            seen: HashMap::new(),
            files: Vec::new(),
            is_complete: true,
        }
    }

    fn include(&mut self, paths: &[PathBuf], reading: &mut Reading<'_>) {
        for path in paths {
            let Some(file) = read_file(path, reading) else {
                self.is_complete = false;
                continue;
            };
            let pieces = split(file.source.text());
            let text = pieces.rest.text(file.source.text());
            let node = parse_rest(&file, &pieces.rest, &text, &mut reading.diagnostics);
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
                    key.note(&mut reading.diagnostics, message, help);
                }
            }
            self.add_file(&file, &pieces, others, reading);
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
        reading: Reading<'_>,
    ) -> (Config, RuleOrigins) {
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
        let config = Config {
            socket: socket
                .or(settings.socket)
                .unwrap_or_else(|| environment.socket()),
            socket_mode: settings.socket_mode,
            listen: settings.listen,
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
            stamps: reading.files.stamps(),
            names: reading.principals.directory.names(),
            unresolved: reading.principals.into_unresolved(),
        };
        (config, reading.origins)
    }

    /// Adds the accounts of one file: those with a header of their own, and `others` that are written in another way.
    fn add_file(
        &mut self,
        file: &Arc<SourceFile>,
        pieces: &Split,
        others: Option<Value<'_>>,
        reading: &mut Reading<'_>,
    ) {
        self.files.push(Arc::clone(file));
        if let Some(others) = others {
            self.add_table(others, reading);
        }
        for batch in &pieces.batches {
            if self.add_piece(file, &batch.whole(), reading).is_ok() {
                continue;
            }
            // A syntax error in one account must not hide the mistakes of the others.
            for runs in batch.each() {
                if let Err(broken) = self.add_piece(file, runs, reading) {
                    add_all(&broken, &mut reading.diagnostics);
                }
            }
        }
        let diagnostics = &mut reading.diagnostics;
        for (first, second) in &pieces.twice {
            let name = file.source.text().get(second.clone());
            let message = format!("account {} is defined twice", name.unwrap_or_default());
            let help = already(file, first, diagnostics);
            diagnostics.add(&file.span(second), Mark::Shown, message, help);
        }
    }

    /// Adds the accounts of a piece, or none if it is not valid TOML.
    fn add_piece(
        &mut self,
        file: &SourceFile,
        runs: &Runs,
        reading: &mut Reading<'_>,
    ) -> Result<(), Vec<Syntax>> {
        let text = runs.text(file.source.text());
        let node = file.parse(runs, &text)?;
        if let Some(accounts) = Section::root(&node).take("account") {
            self.add_table(accounts, reading);
        }
        Ok(())
    }

    fn add_table(&mut self, accounts: Value<'_>, reading: &mut Reading<'_>) {
        let table = accounts.section(&mut reading.diagnostics);
        for (key, value) in table.into_iter().flat_map(Section::entries) {
            self.add(key, value, reading);
        }
    }

    fn add(&mut self, key: &Key<'_>, value: Value<'_>, reading: &mut Reading<'_>) {
        let diagnostics = &mut reading.diagnostics;
        let Some(name) = account_name(&key.name, |why| key.note(diagnostics, why, None)) else {
            return;
        };
        if let Some((first, range)) = self.seen.get(&name) {
            let first = self.files.get(*first);
            let first = first.and_then(|file| already(file, range, diagnostics));
            let message = format!("account {name} is defined twice");
            return key.note(diagnostics, message, first);
        }
        let number = self.files.len().saturating_sub(1);
        let place = (number, key.span.range.clone());
        self.seen.insert(name.clone(), place);
        if let Some(account) = self.reader.read(name, key, value, reading) {
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

/// Reads a file, and takes relative paths from its directory from now on.
fn read_file(path: &Path, reading: &mut Reading<'_>) -> Option<Arc<SourceFile>> {
    let text = (reading.files).text(path, LONGEST_FILE, &mut reading.diagnostics)?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    reading.base = absolute
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf);
    Some(Arc::new(SourceFile {
        path: path.to_path_buf(),
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
    file.parse(runs, text).unwrap_or_else(|broken| {
        add_all(&broken, diagnostics);
        Node::empty(&file.source)
    })
}

fn add_all(broken: &[Syntax], diagnostics: &mut Diagnostics) {
    broken
        .iter()
        .for_each(|error| diagnostics.add_syntax(error));
}
