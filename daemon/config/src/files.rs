//! Reads the files of a configuration, within bounds.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::mistake::Mistakes;

/// The most files in one directory.
const MOST_FILES: usize = 200_000;

/// The `*.toml` files of `dir`, sorted by name. Hidden ones, as editors leave behind, are left out.
///
/// # Errors
///
/// The sentence that says why the directory cannot be read.
pub fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("directory {}: {error}", dir.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.as_bytes();
        if name.ends_with(b".toml") && !name.starts_with(b".") {
            files.push(entry.path());
        }
        if files.len() > MOST_FILES {
            return Err(format!(
                "directory {} has more than {MOST_FILES} files",
                dir.display()
            ));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The text of a file of at most `longest` bytes.
pub(super) fn read(path: &Path, longest: u64, mistakes: &mut Mistakes) -> Option<String> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(longest + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                Some("create it, or name another with --config".to_owned())
            }
            std::io::ErrorKind::PermissionDenied => {
                Some("it must be readable by the user who runs tokend".to_owned())
            }
            _ => None,
        };
        mistakes.add_file(path, format!("cannot be read: {error}"), help);
        return None;
    }
    if bytes.len() as u64 > longest {
        mistakes.add_file(path, format!("is longer than {longest} bytes"), None);
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error
                .as_bytes()
                .iter()
                .take(at)
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            mistakes.add_file(
                path,
                format!("is not UTF-8 text: line {line} has a byte that is none"),
                None,
            );
            None
        }
    }
}
