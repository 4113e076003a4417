//! All dialects of a daemon, built-in ones and those of the user, with `extends` resolved.
//!
//! Owns names, suggestions and inheritance. It reads no files: callers hand in names and texts.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use tokend_document::{Content, Diagnostics, Node, Value, choose_from};

use crate::{compile, dialect::Dialect, endpoint::suggestion, error::DialectError, merge};

/// The longest chain of dialects that extend each other.
const DEPTH: usize = 8;
/// The longest path that is suggested for `without`, in segments.
const SUGGESTED: usize = 9;
/// How many dialects a user may add.
const FILES: usize = 1000;

const BUILTIN: &[(&str, &str)] = &[
    ("oauth2.toml", include_str!("../builtin/oauth2.toml")),
    (
        "ad-verification.toml",
        include_str!("../builtin/ad-verification.toml"),
    ),
    ("jwt-api.toml", include_str!("../builtin/jwt-api.toml")),
    (
        "client-credentials.toml",
        include_str!("../builtin/client-credentials.toml"),
    ),
    (
        "firebase-accounts.toml",
        include_str!("../builtin/firebase-accounts.toml"),
    ),
];

/// The dialects by name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    dialects: BTreeMap<String, CatalogEntry>,
}

#[derive(Clone, Debug)]
struct CatalogEntry {
    dialect: Arc<Dialect>,
    /// The merged tree, for dialects that extend this one.
    tree: Arc<Node<'static>>,
    builtin: bool,
}

impl CatalogEntry {
    /// The number of dialects it extends, one through the other; counted up to the limit.
    fn ancestors(&self, known: &BTreeMap<String, Self>) -> usize {
        let base = |entry: &&Self| known.get(entry.dialect.extends.as_deref()?);
        std::iter::successors(base(&self), base).take(DEPTH).count()
    }
}

/// There is no dialect of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no dialect `{name}`{}", suggestion(name, known.iter().map(String::as_str)))]
pub struct UnknownDialect {
    /// The name that was asked for.
    pub name: String,
    /// The names that exist.
    pub known: Vec<String>,
}

impl Catalog {
    /// The dialects that are compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        /// Compiled once: every reload needs them.
        static COMPILED: LazyLock<Catalog> = LazyLock::new(|| {
            let mut catalog = Catalog::default();
            let files = BUILTIN
                .iter()
                .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
            // A mistake in a built-in dialect is found by this crate's tests, which compile each of them.
            let _errors = catalog.add_all(files, true);
            catalog
        });
        COMPILED.clone()
    }

    /// This catalog with a user's dialects added. `files` are pairs of file name (`NAME.toml`) and text; they may extend each other.
    ///
    /// # Errors
    /// One error for each file that cannot be used; the catalog is then of no use as a whole.
    pub fn with_files(
        &self,
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<DialectError>> {
        let mut catalog = self.clone();
        let errors = catalog.add_all(files, false);
        match errors.is_empty() {
            true => Ok(catalog),
            false => Err(errors),
        }
    }

    /// Finds a dialect by name.
    ///
    /// # Errors
    /// There is no dialect of this name; the error has the nearest name.
    pub fn find(&self, name: &str) -> Result<&Arc<Dialect>, UnknownDialect> {
        let known = self.dialects.get(name).map(|known| &known.dialect);
        known.ok_or_else(|| UnknownDialect {
            name: name.to_owned(),
            known: self.dialects.keys().cloned().collect(),
        })
    }

    /// All dialects in the order of their names, each with whether it is compiled in.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Dialect>, bool)> {
        self.dialects
            .values()
            .map(|known| (&known.dialect, known.builtin))
    }

    fn add_all(
        &mut self,
        files: impl IntoIterator<Item = (String, String)>,
        builtin: bool,
    ) -> Vec<DialectError> {
        let mut errors = Vec::new();
        let mut waiting: Vec<File> = Vec::new();
        for (file, text) in files {
            let taken = |name: &str| {
                self.dialects.contains_key(name) || waiting.iter().any(|file| file.name == name)
            };
            match File::read(&file, text, taken, waiting.len()) {
                Ok(file) => waiting.push(file),
                Err(error) if errors.len() < FILES => errors.push(error),
                Err(_) => break,
            }
        }
        let names: Vec<String> = waiting.iter().map(|file| file.name.clone()).collect();
        // A dialect is compiled once its base is known; after a round without progress only cycles and missing bases are left.
        while !waiting.is_empty() {
            let (ready, rest): (Vec<File>, Vec<File>) = waiting.into_iter().partition(|file| {
                file.extends()
                    .is_none_or(|base| self.dialects.contains_key(base))
            });
            if ready.is_empty() {
                let known = self.dialects.keys().chain(&names);
                let known: Vec<&str> = known.map(String::as_str).collect();
                errors.extend(rest.iter().filter_map(|file| file.stuck(&rest, &known)));
                break;
            }
            waiting = rest;
            for file in ready {
                match file.compile(&self.dialects) {
                    Ok((tree, dialect)) => {
                        let entry = CatalogEntry {
                            dialect: Arc::new(dialect),
                            tree: Arc::new(tree),
                            builtin,
                        };
                        let _none = self.dialects.insert(file.name, entry);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        errors
    }
}

/// Parses and compiles one dialect that may extend those of a catalog. `file` is its name for messages; the dialect's name
/// is the file's, without directories and `.toml`.
///
/// # Errors
/// Everything that is wrong with it, each with file, line, column and what would be valid.
pub fn parse(file: &str, text: &str, catalog: &Catalog) -> Result<Dialect, DialectError> {
    let known = &catalog.dialects;
    let taken = |name: &str| known.get(name).is_some_and(|known| known.builtin);
    let file = File::read(file, text.to_owned(), taken, 0)?;
    Ok(file.compile(known)?.1)
}

/// A dialect file that was read but not yet compiled.
struct File {
    name: String,
    text: String,
    tree: Node<'static>,
}

impl File {
    fn read(
        file: &str,
        text: String,
        taken: impl Fn(&str) -> bool,
        before: usize,
    ) -> Result<Self, DialectError> {
        let mut diagnostics = Diagnostics::default();
        let base = file.rsplit('/').next().unwrap_or(file);
        let name = base.strip_suffix(".toml").unwrap_or(base).to_owned();
        let tree = merge::read(file, &text, &mut diagnostics);
        if let Some(tree) = tree.as_ref().map(Value::from) {
            let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_short = (1..=63).contains(&name.len());
            if !is_short || name.starts_with('-') || !name.chars().all(letter) {
                let message = format!("`{name}` cannot be the name of a dialect");
                let help = "a dialect's file name is its name: small letters, digits and `-`, at most 63, and `.toml`";
                tree.note(&mut diagnostics, message, help.to_owned());
            }
            if before >= FILES {
                let message = format!("there are more than {FILES} dialects");
                tree.note(&mut diagnostics, message, None);
            }
            if taken(&name) {
                let message = format!("there is a dialect `{name}` already");
                let help =
                    format!("rename the file; the new dialect can say `extends = \"{name}\"`");
                tree.note(&mut diagnostics, message, help);
            }
        }
        match tree {
            Some(tree) if diagnostics.is_empty() => Ok(Self { name, text, tree }),
            _ => Err(DialectError::new(&name, diagnostics)),
        }
    }

    fn key(&self, key: &str) -> Option<Value<'_>> {
        match &self.tree.content {
            Content::Table(table) => table.find(key).map(Value::from),
            _ => None,
        }
    }

    fn extends(&self) -> Option<&str> {
        match &self.key("extends")?.node().content {
            Content::String(name) => Some(name),
            _ => None,
        }
    }

    /// The dialect, and its tree for those that extend it.
    fn compile(
        &self,
        known: &BTreeMap<String, CatalogEntry>,
    ) -> Result<(Node<'static>, Dialect), DialectError> {
        let tree = self.resolve(known)?;
        let dialect = compile::compile(&self.name, &self.text, Value::from(&tree))?;
        Ok((tree, dialect))
    }

    /// The tree laid over that of the dialect it extends, without the parts that `without` removes.
    fn resolve(
        &self,
        known: &BTreeMap<String, CatalogEntry>,
    ) -> Result<Node<'static>, DialectError> {
        let mut diagnostics = Diagnostics::default();
        let extends = self
            .key("extends")
            .and_then(|node| Some((node, node.string(&mut diagnostics)?)));
        let without = self
            .key("without")
            .and_then(|node| Some((node, node.strings(&mut diagnostics)?)));
        let mut base = None;
        if let Some((node, name)) = extends {
            let Some(entry) = known.get(name) else {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                return Err(self.without_base(node, name, &names));
            };
            base = Some((*entry.tree).clone());
            if entry.ancestors(known) >= DEPTH {
                let message = format!("a dialect can have at most {DEPTH} ancestors");
                node.note(&mut diagnostics, message, None);
            }
        }
        match (without, &mut base) {
            (Some((node, paths)), Some(base)) => remove_parts(base, node, &paths, &mut diagnostics),
            (Some((node, _)), None) if extends.is_none() => {
                node.note(&mut diagnostics, "`without` needs `extends`", None);
            }
            (_, _) => {}
        }
        if !diagnostics.is_empty() {
            return Err(DialectError::new(&self.name, diagnostics));
        }
        let Some(mut tree) = base else {
            return Ok(self.tree.clone());
        };
        merge::merge(&mut tree, self.tree.clone());
        Ok(tree)
    }

    /// The error for a dialect whose base does not exist.
    fn without_base(&self, node: Value<'_>, base: &str, known: &[&str]) -> DialectError {
        let mut diagnostics = Diagnostics::default();
        let message = format!("there is no dialect `{base}`");
        node.note(&mut diagnostics, message, choose_from(base, known));
        DialectError::without_base(&self.name, base, diagnostics)
    }

    /// Why a file could not be compiled: its base is missing, or it extends itself. `None` when another file is to blame.
    fn stuck(&self, waiting: &[Self], known: &[&str]) -> Option<DialectError> {
        let node = self.key("extends")?;
        let base = self.extends()?;
        if !known.contains(&base) {
            let others = known.iter().copied().filter(|name| *name != self.name);
            let others: Vec<&str> = others.collect();
            return Some(self.without_base(node, base, &others));
        }
        let next = |name: &str| {
            let mut waiting = waiting.iter();
            waiting.find(|file| file.name == name)?.extends()
        };
        let mut bases = std::iter::successors(Some(base), |name| next(name)).take(FILES);
        bases.any(|name| name == self.name).then(|| {
            let mut diagnostics = Diagnostics::default();
            let message = format!("`{}` extends itself through `{base}`", self.name);
            node.note(&mut diagnostics, message, None);
            DialectError::new(&self.name, diagnostics)
        })
    }
}

/// Removes the entries of `without` from the extended dialect.
fn remove_parts(
    base: &mut Node<'static>,
    without: Value<'_>,
    paths: &[String],
    diagnostics: &mut Diagnostics,
) {
    for (path, node) in paths.iter().zip(without.one_or_many()) {
        let all = merge::paths(base, SUGGESTED);
        if !merge::remove(base, path) {
            let near = suggestion(path, all.iter().map(String::as_str));
            let message = format!("the extended dialect has no `{path}`{near}");
            node.note(diagnostics, message, None);
        }
    }
}
