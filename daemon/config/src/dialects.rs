//! The dialects accounts may name: those compiled in and those of `dialect_dir`.
//!
//! Owns reading the directory, and caches what every account needs of a dialect.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokend_dialect::{Catalog, Dialect, FieldUse};
use tokend_document::choose_from;
use tokend_engine::Rate;

use super::pacing::Pacing;
use super::reading::Reading;

/// The longest file of a dialect, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

/// A dialect, and what accounts need of it.
#[derive(Debug)]
pub(super) struct KnownDialect {
    /// The dialect.
    pub(super) dialect: Arc<Dialect>,
    /// Its default pacing.
    pub(super) pacing: Pacing,
    /// Its digest.
    pub(super) digest: String,
    /// Every field the dialect may use, whatever the options, including those that the daemon fills in.
    pub(super) fields: Vec<FieldUse>,
}

impl KnownDialect {
    /// Whether the dialect has a field of this name.
    pub(super) fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|own| own.name == field)
    }
}

/// All dialects, each examined once.
#[derive(Debug)]
pub(super) struct Dialects {
    catalog: Catalog,
    /// Whether a file could not be used, so that any dialect may be missing.
    is_incomplete: bool,
    known: HashMap<String, Arc<KnownDialect>>,
}

impl Dialects {
    /// The built-in dialects and those at `paths`; `paths` is `None` when the files are unknown. Mistakes in a file are noted, except
    /// those that only follow from another unreadable file.
    pub(super) fn load(paths: Option<&[PathBuf]>, reading: &mut Reading<'_>) -> Self {
        let diagnostics = &mut reading.diagnostics;
        let before = diagnostics.count();
        let builtin = Catalog::builtin();
        let mut read = Vec::new();
        for path in paths.into_iter().flatten() {
            let text = reading.files.text(path, LONGEST_FILE, diagnostics);
            read.extend(text.map(|text| (path.display().to_string(), text)));
        }
        let is_incomplete = paths.is_none() || diagnostics.count() > before;
        let (catalog, errors) = match builtin.with_files(read) {
            Ok(catalog) => (catalog, Vec::new()),
            Err(errors) => (builtin, errors),
        };
        let broken: Vec<String> = errors.iter().map(|error| error.name().to_owned()).collect();
        // If the extended dialect is missing or unreadable, the report about its own file says so.
        let follows = |base: &str| is_incomplete || broken.iter().any(|name| name == base);
        for error in errors {
            if !error.missing_base().is_some_and(follows) {
                diagnostics.extend(error.into_diagnostics());
            }
        }
        Self {
            catalog,
            is_incomplete: is_incomplete || !broken.is_empty(),
            known: HashMap::new(),
        }
    }

    /// The dialect of this name. `Err(None)` means that the dialect may be in an unusable file, which was already reported.
    pub(super) fn find(&mut self, name: &str) -> Result<Arc<KnownDialect>, Option<String>> {
        if let Some(known) = self.known.get(name) {
            return Ok(Arc::clone(known));
        }
        let found = self.catalog.find(name).map_err(|error| {
            // One broken file makes the other dialects of the directory unavailable too.
            let known: Vec<&str> = error.known.iter().map(String::as_str).collect();
            (!self.is_incomplete).then(|| choose_from(name, &known))
        })?;
        let known = Arc::new(KnownDialect::new(found)?);
        self.known.insert(name.to_owned(), Arc::clone(&known));
        Ok(known)
    }
}

impl KnownDialect {
    fn new(dialect: &Arc<Dialect>) -> Result<Self, Option<String>> {
        let pacing = dialect.pacing();
        let name = dialect.name();
        let impossible = || Some(format!("the pacing of dialect `{name}` is out of range"));
        let rate = |rate: tokend_dialect::DefaultRate| {
            Rate::new(rate.burst, rate.period).ok_or_else(impossible)
        };
        Ok(Self {
            pacing: Pacing {
                attempts: rate(pacing.attempts)?,
                logins: rate(pacing.logins)?,
                host: rate(pacing.host)?,
                host_in_flight: pacing.host_in_flight,
            },
            digest: dialect.digest(),
            fields: dialect.fields().collect(),
            dialect: Arc::clone(dialect),
        })
    }

    /// How the dialect uses a field, if it does and the account must provide the field.
    pub(super) fn field(&self, name: &str) -> Option<&FieldUse> {
        self.fields.iter().find(|field| field.name == name)
    }
}
