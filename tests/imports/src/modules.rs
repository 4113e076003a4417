//! The modules of a crate and the names each of them knows.

use std::collections::{BTreeMap, BTreeSet};

/// A module, whether it has a file of its own or stands inside another's.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The index of its file.
    pub(crate) file: usize,
    /// The module above.
    pub(crate) parent: Option<usize>,
    /// Modules below, by name.
    pub(crate) children: BTreeMap<String, usize>,
    /// Names it imports from elsewhere, with what each stands for. A re-export is one of them.
    pub(crate) uses: BTreeMap<String, Vec<String>>,
    /// Paths whose every name it brings in (`use a::*`).
    pub(crate) globs: Vec<Vec<String>>,
    /// Names it defines itself.
    pub(crate) defines: BTreeSet<String>,
}

/// All modules of a crate.
#[derive(Debug, Default)]
pub(crate) struct Krate {
    pub(crate) modules: Vec<Module>,
    /// `macro_rules!` by name, and the file that has them: they are in scope by the order of the text, not by path.
    pub(crate) macros: BTreeMap<String, usize>,
}
