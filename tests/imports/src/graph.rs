//! The picture: files, and the arrows between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// One crate: its files, and who imports whom.
#[derive(Debug)]
pub struct Imports {
    /// The files, below the directory of the crate's root.
    pub files: Vec<PathBuf>,
    /// The arrows, sorted, one for each pair of files.
    pub arrows: Vec<Arrow>,
}

/// An import of something in one file by another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The importing file, an index into [`Imports::files`].
    pub from: usize,
    /// The imported file.
    pub to: usize,
    /// The places of the import: `(line, name)` in the order of the lines.
    pub names: Vec<(usize, String)>,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The path of the file.
    pub file: PathBuf,
    /// Why it could not be read.
    pub why: String,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for Unread {}

impl Imports {
    /// The same imports between *rooms*: the files and folders at one level below `under`, a folder together with the file of its name. An
    /// arrow inside a room does not count; files outside `under` belong to no room.
    #[must_use]
    pub fn rooms(&self, under: &Path) -> Self {
        let room_of = |file: &PathBuf| {
            let below = file.strip_prefix(under).ok()?;
            let first = below.iter().next()?;
            Some(PathBuf::from(first).with_extension(""))
        };
        let rooms: Vec<Option<PathBuf>> = self.files.iter().map(room_of).collect();
        let files: Vec<PathBuf> = rooms
            .iter()
            .flatten()
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let number = |index: usize| files.binary_search(rooms.get(index)?.as_ref()?).ok();
        let mut arrows = BTreeMap::<(usize, usize), Vec<(usize, String)>>::new();
        for arrow in &self.arrows {
            let (Some(from), Some(to)) = (number(arrow.from), number(arrow.to)) else {
                continue;
            };
            if from != to {
                let file = self
                    .files
                    .get(arrow.from)
                    .map(|file| file.display().to_string())
                    .unwrap_or_default();
                let names = arrow
                    .names
                    .iter()
                    .map(|(line, name)| (*line, format!("{name} ({file})")));
                arrows.entry((from, to)).or_default().extend(names);
            }
        }
        Self {
            files,
            arrows: arrows
                .into_iter()
                .map(|((from, to), names)| Arrow { from, to, names })
                .collect(),
        }
    }

    /// An arrow in words: both files, and the first imported names with their lines.
    #[must_use]
    pub fn words(&self, arrow: &Arrow) -> String {
        const SHOWN: usize = 4;
        let file = |index: usize| {
            self.files
                .get(index)
                .map(|file| file.display().to_string())
                .unwrap_or_default()
        };
        let mut names: Vec<String> = arrow
            .names
            .iter()
            .take(SHOWN)
            .map(|(line, name)| format!("{name} (line {line})"))
            .collect();
        if let Some(more) = arrow
            .names
            .len()
            .checked_sub(SHOWN)
            .filter(|more| *more > 0)
        {
            names.push(format!("and {more} more"));
        }
        format!(
            "{} -> {}: {}",
            file(arrow.from),
            file(arrow.to),
            names.join(", ")
        )
    }
}
