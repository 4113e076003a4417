//! `[listen]`: the sockets of outlets that the daemon makes itself.
//!
//! Owns their paths. There is none by default.

use std::path::{Path, PathBuf};

use tokend_document::Section;
use tokend_policy::Outlet;

use super::reading::Reading;

/// Where outlets listen, unless systemd passes their sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    paths: Vec<(Outlet, PathBuf)>,
}

impl Listen {
    /// Reads `[listen]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Self {
        let mut listen = Self::default();
        let Some(mut section) = root.section("listen", &mut reading.diagnostics) else {
            return listen;
        };
        for outlet in Outlet::ALL {
            let value = section.take(outlet.key());
            let path = value.and_then(|value| value.path(&reading.base, &mut reading.diagnostics));
            listen.paths.extend(path.map(|path| (outlet, path)));
        }
        section.finish(&mut reading.diagnostics);
        listen
    }

    /// Where this outlet listens.
    pub fn at(&self, outlet: Outlet) -> Option<&Path> {
        let found = self.paths.iter().find(|(own, _)| *own == outlet);
        found.map(|(_, path)| path.as_path())
    }
}
