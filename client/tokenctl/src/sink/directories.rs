//! Where the configurations of sinks are.
//!
//! Owns the search, and the rule that no two sinks of one directory write one file.

use std::fs;
use std::path::{Path, PathBuf};

use tokend_client::AccountName;
use tokend_document::Diagnostics;

use super::place::{Holder, Place, shown};
use super::settings::{self, Settings};
use crate::arguments::SinkChoice;
use crate::failure::{Exit, Failure};
use crate::left_over;

/// More than a machine has; each is read for every check.
const MOST: usize = 1000;

/// The sinks that are meant.
pub(super) fn read(
    choice: &SinkChoice,
    holder: Holder,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Settings>, Failure> {
    let named = match choice {
        SinkChoice::File(path) => {
            return Ok(settings::read(path, holder, diagnostics)
                .into_iter()
                .collect());
        }
        SinkChoice::All => {
            let all = places().into_iter().flat_map(|it| files(&it)).take(MOST);
            let all = all.filter_map(|file| settings::read(&file, holder, diagnostics));
            let all: Vec<_> = all.collect();
            for (at, one) in all.iter().enumerate() {
                let rest = all.iter().skip(at + 1);
                rest.for_each(|other| refuse_twice(one, other, diagnostics));
            }
            return Ok(all);
        }
        SinkChoice::Named(name) => name,
    };
    let file = format!("{named}.toml");
    let found = places().into_iter().find(|it| it.join(&file).exists());
    let Some(place) = found else {
        let places: Vec<_> = places().iter().map(|it| shown(it)).collect();
        return Err(Failure::new(
            Exit::Config,
            format!(
                "there is no sink {named}: looked for {file} in {}",
                places.join(" and ")
            ),
            "write it; tokenctl(1) has its keys",
        ));
    };
    let path = place.join(&file);
    let settings = settings::read(&path, holder, diagnostics);
    // The mistakes of the others are theirs, and so is what they do to each other.
    let Some(settings) = settings else {
        return Ok(Vec::new());
    };
    let others = files(&place).into_iter().filter(|it| *it != path);
    for other in others.take(MOST) {
        let other = settings::read(&other, Holder::Anyone, &mut Diagnostics::default());
        other
            .iter()
            .for_each(|other| refuse_twice(&settings, other, diagnostics));
    }
    Ok(vec![settings])
}

/// The sink that is meant, and where its configuration says that its file is, though other things in it may be wrong.
pub(super) fn place_of(choice: &SinkChoice) -> Option<(AccountName, PathBuf)> {
    let path = match choice {
        SinkChoice::File(path) => path.clone(),
        SinkChoice::Named(name) => {
            let file = format!("{name}.toml");
            let all = places().into_iter().map(|it| it.join(&file));
            all.into_iter().find(|it| it.exists())?
        }
        SinkChoice::All => return None,
    };
    settings::place_of(&path)
}

/// Unfinished files that killed sinks left beside theirs.
pub(crate) fn left_over() -> Vec<PathBuf> {
    let mut ignored = Diagnostics::default();
    let all = places().into_iter().flat_map(|it| files(&it)).take(MOST);
    let all = all.filter_map(|file| settings::read(&file, Holder::Anyone, &mut ignored));
    let mut directories: Vec<_> = all
        .filter_map(|it| Some(it.file.path().parent()?.to_owned()))
        .collect();
    directories.sort();
    directories.dedup();
    let opened = directories.into_iter().filter_map(|path| {
        let place = Place::open(&path.join("file"), Holder::Anyone).ok()?;
        Some((path, place))
    });
    opened
        .flat_map(|(path, place)| left_over::find(&path, &place.directory))
        .collect()
}

/// The user's own first.
fn places() -> Vec<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    let of_user = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let of_user = of_user.map(|it| it.join("tokend/sinks.d"));
    let of_machine = PathBuf::from("/etc/tokend/sinks.d");
    of_user.into_iter().chain([of_machine]).collect()
}

fn files(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
    files.sort();
    files
}

fn refuse_twice(one: &Settings, other: &Settings, diagnostics: &mut Diagnostics) {
    let path = one.file.path();
    if path == other.file.path() {
        diagnostics.add_file(
            &format!("{}.toml", other.name),
            format!(
                "the sinks {} and {} have one path, {}",
                one.name,
                other.name,
                shown(path)
            ),
            "give each a file of its own".to_owned(),
        );
    }
}
