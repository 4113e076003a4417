//! The dialects accounts may name: those compiled in and those of `dialect_dir`.
//!
//! Owns reading the directory, and what is worth asking a dialect only once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokend_dialect::{Catalog, Dialect, DialectError, FieldUse};
use tokend_engine::Rate;

use super::Files;
use super::mistake::{Mistakes, choose_from};
use super::pacing::Pacing;

/// The longest file of a dialect, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

/// A dialect and what accounts ask of it.
#[derive(Debug)]
pub(super) struct Known {
    /// The dialect.
    pub(super) dialect: Arc<Dialect>,
    /// Its default pacing.
    pub(super) pacing: Pacing,
    /// Its digest.
    pub(super) digest: String,
    /// Every field it may use, whatever the options; those the daemon fills in itself among them.
    pub(super) fields: Vec<FieldUse>,
}

/// All dialects, each asked once.
#[derive(Debug)]
pub(super) struct Dialects {
    catalog: Catalog,
    broken: Vec<String>,
    asked: HashMap<String, Arc<Known>>,
}

impl Dialects {
    /// The dialects compiled in and those at `paths`. What is wrong with a file goes to `mistakes`.
    pub(super) fn load(files: &Files, paths: &[PathBuf], mistakes: &mut Mistakes) -> Self {
        let builtin = Catalog::builtin();
        let read = paths.iter().filter_map(|path| {
            Some((
                path.display().to_string(),
                files.text(path, LONGEST_FILE, mistakes)?,
            ))
        });
        let (catalog, errors) = match builtin.with_files(read) {
            Ok(catalog) => (catalog, Vec::new()),
            Err(errors) => (builtin, errors),
        };
        let broken = errors
            .iter()
            .map(|error: &DialectError| error.name().to_owned())
            .collect();
        errors
            .into_iter()
            .for_each(|error| mistakes.add_dialect(error));
        Self {
            catalog,
            broken,
            asked: HashMap::new(),
        }
    }

    /// The dialect of this name. `Err(None)` for one whose file has mistakes: they were told already.
    pub(super) fn find(&mut self, name: &str) -> Result<Arc<Known>, Option<String>> {
        if let Some(known) = self.asked.get(name) {
            return Ok(Arc::clone(known));
        }
        let found = self.catalog.find(name).map_err(|error| {
            // With one broken file the others of the directory are not there either.
            let told = !self.broken.is_empty();
            let known: Vec<&str> = error.known.iter().map(String::as_str).collect();
            (!told).then(|| choose_from(name, &known))
        })?;
        let known = Arc::new(Known::new(found)?);
        self.asked.insert(name.to_owned(), Arc::clone(&known));
        Ok(known)
    }
}

impl Known {
    fn new(dialect: &Arc<Dialect>) -> Result<Self, Option<String>> {
        let pacing = dialect.pacing();
        let impossible = || {
            Some(format!(
                "the pacing of dialect `{}` is out of range",
                dialect.name()
            ))
        };
        let rate =
            |rate: tokend_dialect::Rate| Rate::new(rate.burst, rate.period).ok_or_else(impossible);
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

    /// How the dialect uses a field, if it does and the account has to bring it.
    pub(super) fn field(&self, name: &str) -> Option<&FieldUse> {
        self.fields.iter().find(|field| field.name == name)
    }
}
