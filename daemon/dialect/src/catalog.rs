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
        if errors.is_empty() {
            Ok(catalog)
        } else {
            Err(errors)
        }
    }

    /// Finds a dialect by name.
    ///
    /// # Errors
    /// There is no dialect of this name; the error has the nearest name.
    pub fn find(&self, name: &str) -> Result<&Arc<Dialect>, UnknownDialect> {
        let unknown = || UnknownDialect {
            name: name.to_owned(),
            known: self.dialects.keys().cloned().collect(),
        };
        self.dialects
            .get(name)
            .map(|known| &known.dialect)
            .ok_or_else(unknown)
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
                let known: Vec<&str> = self
                    .dialects
                    .keys()
                    .chain(&names)
                    .map(String::as_str)
                    .collect();
                errors.extend(rest.iter().filter_map(|file| file.stuck(&rest, &known)));
                break;
            }
            waiting = rest;
            for file in ready {
                match file.compile(&self.dialects) {
                    Ok((name, tree, dialect)) => {
                        let _none = self.dialects.insert(
                            name,
                            CatalogEntry {
                                dialect,
                                tree,
                                builtin,
                            },
                        );
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
    let taken = |name: &str| {
        catalog
            .dialects
            .get(name)
            .is_some_and(|known| known.builtin)
    };
    let file = File::read(file, text.to_owned(), taken, 0)?;
    let (tree, depth) = file.resolve(&catalog.dialects)?;
    file.check_depth(depth)?;
    compile::compile(&file.name, Some(&file.text), Value::from(&tree))
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
            if name.is_empty()
                || name.len() > 63
                || name.starts_with('-')
                || !name.chars().all(letter)
            {
                let help = "a dialect's file name is its name: small letters, digits and `-`, at most 63, and `.toml`";
                tree.note(
                    &mut diagnostics,
                    format!("`{name}` cannot be the name of a dialect"),
                    Some(help.to_owned()),
                );
            }
            if before >= FILES {
                tree.note(
                    &mut diagnostics,
                    format!("there are more than {FILES} dialects"),
                    None,
                );
            }
            if taken(&name) {
                let help =
                    format!("rename the file; the new dialect can say `extends = \"{name}\"`");
                tree.note(
                    &mut diagnostics,
                    format!("there is a dialect `{name}` already"),
                    Some(help),
                );
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

    fn compile(
        self,
        known: &BTreeMap<String, CatalogEntry>,
    ) -> Result<(String, Arc<Node<'static>>, Arc<Dialect>), DialectError> {
        let (tree, depth) = self.resolve(known)?;
        self.check_depth(depth)?;
        let dialect = compile::compile(&self.name, Some(&self.text), Value::from(&tree))?;
        Ok((self.name, Arc::new(tree), Arc::new(dialect)))
    }

    /// The tree laid over that of the dialect it extends, without the parts that `without` removes; and the length of its chain of bases.
    fn resolve(
        &self,
        known: &BTreeMap<String, CatalogEntry>,
    ) -> Result<(Node<'static>, usize), DialectError> {
        let mut diagnostics = Diagnostics::default();
        let extends = self
            .key("extends")
            .and_then(|node| Some((node, node.string(&mut diagnostics)?)));
        let without = self
            .key("without")
            .and_then(|node| Some((node, node.strings(&mut diagnostics)?)));
        let mut base = None;
        if let Some((node, name)) = extends {
            base = known.get(name).map(|known| (*known.tree).clone());
            if base.is_none() {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                return Err(self.without_base(node, name, &names));
            }
        }
        match (without, &mut base) {
            (Some((node, paths)), Some(base)) => take_out(base, node, &paths, &mut diagnostics),
            (Some((node, _)), None) if extends.is_none() => {
                node.note(&mut diagnostics, "`without` needs `extends`", None);
            }
            (_, _) => {}
        }
        if !diagnostics.is_empty() {
            return Err(DialectError::new(&self.name, diagnostics));
        }
        let Some(mut tree) = base else {
            return Ok((self.tree.clone(), 0));
        };
        let depth = 1 + lineage(extends.map(|(_, name)| name), known);
        merge::merge(&mut tree, self.tree.clone());
        Ok((tree, depth))
    }

    /// The error for a dialect whose base does not exist.
    fn without_base(&self, node: Value<'_>, base: &str, known: &[&str]) -> DialectError {
        let mut diagnostics = Diagnostics::default();
        node.note(
            &mut diagnostics,
            format!("there is no dialect `{base}`"),
            choose_from(base, known),
        );
        DialectError::without_base(&self.name, base, diagnostics)
    }

    fn check_depth(&self, depth: usize) -> Result<(), DialectError> {
        let Some(node) = self.key("extends").filter(|_| depth > DEPTH) else {
            return Ok(());
        };
        let mut diagnostics = Diagnostics::default();
        node.note(
            &mut diagnostics,
            format!("a dialect can have at most {DEPTH} ancestors"),
            None,
        );
        Err(DialectError::new(&self.name, diagnostics))
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
        let mut stands_on = std::iter::successors(Some(base), |name| next(name)).take(FILES);
        stands_on.any(|name| name == self.name).then(|| {
            let mut diagnostics = Diagnostics::default();
            let message = format!("`{}` extends itself through `{base}`", self.name);
            node.note(&mut diagnostics, message, None);
            DialectError::new(&self.name, diagnostics)
        })
    }
}

/// Removes the entries of `without` from the extended dialect.
fn take_out(
    base: &mut Node<'static>,
    without: Value<'_>,
    paths: &[String],
    diagnostics: &mut Diagnostics,
) {
    for (path, node) in paths.iter().zip(without.one_or_many()) {
        let all = merge::paths(base);
        if !merge::remove(base, path) {
            let near = suggestion(path, all.iter().map(String::as_str));
            let message = format!("the extended dialect has no `{path}`{near}");
            node.note(diagnostics, message, None);
        }
    }
}

/// The length of the chain of bases of the named dialect.
fn lineage(name: Option<&str>, known: &BTreeMap<String, CatalogEntry>) -> usize {
    let mut count = 0;
    let mut next = name.and_then(|name| known.get(name));
    while let Some(CatalogEntry { dialect, .. }) = next
        && count <= DEPTH
    {
        count += 1;
        next = dialect.extends.as_deref().and_then(|base| known.get(base));
    }
    count.saturating_sub(1)
}
