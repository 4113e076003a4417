//! What `daemon/ARCHITECTURE.md` names: folders, files, modules, tests and promises, and every crate and room there is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::promises::{named, tests_below};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn page() -> String {
    fs::read_to_string(root().join("daemon/ARCHITECTURE.md")).unwrap()
}

/// The text under a heading, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(heading).unwrap();
    rest.split("\n#").next().unwrap()
}

/// The words in backquotes, outside blocks of code.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .step_by(2)
        .flat_map(|part| part.split('`').skip(1).step_by(2))
}

/// Whether it can be a path from the top of the repository.
fn is_path(quoted: &&str) -> bool {
    quoted.contains('/')
        && !quoted.starts_with('/')
        && !quoted.contains([' ', ':', '(', '=', '*', '"'])
}

/// Whether it can be the name of a module.
fn is_module(quoted: &&str) -> bool {
    quoted
        .chars()
        .all(|letter| matches!(letter, 'a'..='z' | '_'))
}

/// The code map: each folder it names, with the modules that follow it up to the next one.
fn map(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut map: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in section(text, "## Code map\n").split("- `").skip(1) {
        let mut names = item.split('`').step_by(2);
        let folder = names.next().unwrap();
        map.push((folder, Vec::new()));
        for name in names {
            if is_path(&name) && root().join(name).is_dir() {
                map.push((name, Vec::new()));
            } else if let Some((_, modules)) = map.last_mut().filter(|_| is_module(&name)) {
                modules.push(name);
            }
        }
    }
    map
}

/// Where a module of this folder is: in the folder itself, or in its sources.
fn has_module(folder: &Path, module: &str) -> bool {
    let file = format!("{module}.rs");
    folder.join(&file).exists() || folder.join("src").join(file).exists()
}

/// Every crate of the workspace, and every folder of the daemon's sources, by its path from the root.
fn crates_and_rooms() -> BTreeSet<PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split(']').next().unwrap();
    let crates = members.split('"').skip(1).step_by(2).map(PathBuf::from);
    let rooms = fs::read_dir(root().join("daemon/src")).unwrap();
    let rooms = rooms.filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_owned();
        path.is_dir().then(|| Path::new("daemon/src").join(name))
    });
    crates
        .filter(|path| path != Path::new("daemon"))
        .chain(rooms)
        .collect()
}

#[test]
fn every_path_and_module_the_architecture_names_is_there() {
    let text = page();
    let paths: BTreeSet<_> = quoted(&text).filter(is_path).collect();
    assert!(paths.len() > 30, "only {paths:?}");
    let gone: Vec<_> = paths
        .into_iter()
        .filter(|path| !root().join(path).exists())
        .collect();
    assert_eq!(gone, [""; 0], "named by the architecture, and not there");

    let map = map(&text);
    let modules: usize = map.iter().map(|(_, modules)| modules.len()).sum();
    assert!(modules > 80, "only {modules} modules: {map:?}");
    let mut gone = Vec::new();
    for (folder, modules) in map {
        let modules = modules.into_iter();
        let missing = modules.filter(|module| !has_module(&root().join(folder), module));
        gone.extend(missing.map(|module| format!("{module} in {folder}")));
    }
    assert_eq!(gone, [""; 0], "no such modules");
}

#[test]
fn the_code_map_has_every_crate_and_every_room() {
    let text = page();
    let named: BTreeSet<_> = quoted(section(&text, "## Code map\n"))
        .map(PathBuf::from)
        .collect();
    let unnamed: Vec<_> = crates_and_rooms()
        .into_iter()
        .filter(|path| !named.contains(path))
        .collect();
    assert_eq!(unnamed, [""; 0].map(Path::new), "not in the code map");
}

#[test]
fn every_test_and_promise_that_the_architecture_names_is_there() {
    let text = page();
    let mut tests = BTreeSet::new();
    tests_below(root(), &mut tests);
    let missing: Vec<_> = named(&text)
        .into_iter()
        .filter(|name| !tests.contains(*name))
        .collect();
    assert_eq!(missing, [""; 0], "named by the architecture, and no test");

    let promises = fs::read_to_string(root().join("daemon/PROMISES.md")).unwrap();
    let rows = section(&text, "## Invariants\n")
        .lines()
        .skip_while(|line| !line.starts_with("|---"));
    let mut read = 0;
    for row in rows.skip(1).filter(|line| line.starts_with('|')) {
        let proof = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let id = proof.starts_with(char::is_uppercase).then_some(proof);
        read += usize::from(id.is_some());
        let is_there = id.is_none_or(|id| promises.contains(&format!("- **{id}** ")));
        assert!(is_there, "no promise {proof}: {row}");
    }
    assert!(read > 3, "only {read} promises in the table of invariants");
}
