//! What is at hand while a configuration is read.
//!
//! Owns what the reader of a key needs beside the key itself, and gathers what it finds. Judges nothing.

use std::path::PathBuf;

use tokend_document::Diagnostics;
use tokend_policy::Directory;

use super::files::Files;
use super::rule_origins::RuleOrigins;
use super::unresolved::Principals;

/// The state of reading one configuration.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    pub(super) files: &'f Files,
    /// The directory of the file that is being read; relative paths in it are taken from there.
    pub(super) base: PathBuf,
    pub(super) principals: Principals,
    pub(super) origins: RuleOrigins,
    /// The mistakes found so far.
    pub(super) diagnostics: Diagnostics,
}

impl<'f> Reading<'f> {
    /// Before any file was read.
    pub(super) fn new(files: &'f Files, directory: Directory, origins: RuleOrigins) -> Self {
        Self {
            files,
            base: PathBuf::new(),
            principals: Principals::new(directory),
            origins,
            diagnostics: Diagnostics::default(),
        }
    }
}
