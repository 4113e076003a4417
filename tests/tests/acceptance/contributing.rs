//! The names in `.github/CONTRIBUTING.md`: paths, commands, tests, and every place that knows a request.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::promises::{named, tests_below};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn guide() -> String {
    fs::read_to_string(root().join(".github/CONTRIBUTING.md")).unwrap()
}

/// The words in backquotes within a line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The paths the text names: words in backquotes, or first words of commands, that have a slash; and what links lead to.
fn paths(text: &str) -> BTreeSet<PathBuf> {
    let is_path = |word: &&str| word.contains('/') && !word.contains(['(', '\'', '<', ':']);
    let words = quoted(text)
        .filter_map(|quoted| quoted.split_whitespace().next())
        .filter(is_path)
        .map(PathBuf::from);
    let links = text.split("](").skip(1).filter_map(|rest| {
        let (target, _) = rest.split_once(')')?;
        Some(Path::new(".github").join(target))
    });
    words.chain(links).collect()
}

/// The subcommands of cargo the text names, in the order of names.
fn cargo_commands(text: &str) -> BTreeSet<&str> {
    text.split("cargo ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '`', '\n']).next())
        .collect()
}

/// Sources of a folder that are not tests.
fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["tests", "testing"].contains(&name) {
            sources_below(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "testing.rs" {
            found.push(path);
        }
    }
}

#[test]
fn every_path_and_command_of_the_contributing_guide_is_there() {
    let text = guide();
    let paths = paths(&text);
    assert!(paths.len() > 40, "only {} paths", paths.len());
    let gone: Vec<_> = paths
        .iter()
        .filter(|path| !root().join(path).exists())
        .collect();
    assert_eq!(
        gone,
        [""; 0].map(Path::new),
        "named by the guide, and not there"
    );

    let aliases = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let is_alias = |name: &str| {
        aliases
            .lines()
            .any(|line| line.split_once(" = ").is_some_and(|(key, _)| key == name))
    };
    // Tools that come with Rust, and tools that `tests/tools` fetches.
    let is_tool = |name: &str| ["build", "clippy", "nextest"].contains(&name);
    let commands = cargo_commands(&text);
    assert!(commands.len() > 6, "only {commands:?}");
    let unknown: Vec<_> = commands
        .into_iter()
        .filter(|name| !is_alias(name) && !is_tool(name))
        .collect();
    assert_eq!(unknown, [""; 0], "no alias in .cargo/config.toml");
}

#[test]
fn every_test_that_the_contributing_guide_names_is_there() {
    let text = guide();
    let mut tests = BTreeSet::new();
    tests_below(root(), &mut tests);
    let missing: Vec<_> = named(&text)
        .into_iter()
        .filter(|name| !tests.contains(*name))
        .collect();
    assert_eq!(missing, [""; 0], "named by the guide, and no test");
}

/// `whoami` is the example the guide follows, so its places are the places of a request.
#[test]
fn the_contributing_guide_names_every_file_that_a_request_goes_through() {
    let paths = paths(&guide());
    let mut sources = Vec::new();
    for folder in [
        "proto/src",
        "client/src",
        "client/tokenctl/src",
        "daemon/src",
    ] {
        sources_below(&root().join(folder), &mut sources);
    }
    let mut read = 0;
    let mut unnamed = Vec::new();
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let knows = ["Request::Whoami", "Response::Whoami", "Whoami,", "whoami;"];
        if knows.iter().any(|word| code.contains(word)) {
            read += 1;
            let path = source.strip_prefix(root()).unwrap().to_owned();
            if !paths.contains(&path) {
                unnamed.push(path);
            }
        }
    }
    assert!(read > 10, "only {read} files know of whoami");
    assert_eq!(
        unnamed,
        [""; 0].map(Path::new),
        "the guide's table of a request does not have them"
    );
}
