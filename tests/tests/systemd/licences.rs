//! The released files name everything that is linked into the programs, with its licence.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use crate::released;

/// Each listed component, with the lines below it: licence, source, and the place of its texts.
fn named(licences: &str) -> BTreeMap<&str, Vec<&str>> {
    let (list, _) = licences.split_once("\n====").unwrap();
    let mut things = BTreeMap::new();
    let mut last = None;
    for line in list.lines().skip_while(|line| !line.is_empty()).skip(1) {
        match (line.strip_prefix("    "), last) {
            (Some(more), Some(thing)) => things.entry(thing).or_insert_with(Vec::new).push(more),
            _ => last = Some(line),
        }
    }
    things
}

/// Crates whose source paths occur in a program's messages: `/registry/src/INDEX/NAME-VERSION/…`.
fn left_in(program: &Path) -> BTreeSet<String> {
    let bytes = fs::read(program).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let places = text.split("/registry/src/").skip(1);
    let folders = places.filter_map(|place| place.split('/').nth(1));
    let crates = folders.filter_map(|folder| {
        let version = folder
            .match_indices('-')
            .map(|(at, _)| at)
            .find(|at| folder[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
        Some(format!("{} {}", &folder[..version], &folder[version + 1..]))
    });
    crates.collect()
}

/// Crates cargo would link for this target.
fn linked(target: &str) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = "tree --locked --prefix none --edges normal,no-proc-macro --package tokend --package tokenctl --format {p}";
    let said = Command::new(cargo)
        .args(words.split(' '))
        .args(["--target", target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty() && !line.contains("(/"))
        .map(|line| line.replacen(" v", " ", 1).replace(" (*)", ""))
        .collect()
}

fn all_are_named(licences: &str, programs: &[&Path], target: &str) {
    let named = named(licences);
    let mut wanted = linked(target);
    for program in programs {
        let left = left_in(program);
        assert!(left.len() > 3, "{}: {left:?}", program.display());
        wanted.extend(left);
    }
    assert!(wanted.len() > 50, "{wanted:?}");
    for it in &wanted {
        let listed = named
            .get(it.as_str())
            .unwrap_or_else(|| panic!("{it} is linked, and its licence is not listed"));
        let (place, texts) = (listed.first().unwrap(), listed.last().unwrap());
        assert!(!place.is_empty(), "{it}: {listed:?}");
        let texts = texts
            .strip_prefix("text ")
            .unwrap_or_else(|| panic!("{it} has no text of its licence: {listed:?}"));
        for number in texts.split(", ") {
            let heading = format!("\nText {number}\n\n");
            assert!(
                licences.contains(&heading),
                "{it}: text {number} is missing"
            );
        }
    }
    let known = linked(target);
    let ours = |it: &&&str| {
        !it.starts_with("Rust standard") && !it.contains(" libc") && !it.starts_with("GNU C")
    };
    for it in named.keys().filter(ours) {
        assert!(known.contains(*it), "{it} is named, and not linked");
    }
}

#[test]
fn the_package_names_every_crate_in_it_with_its_licence() {
    let files = released::unpacked(&released::deb());
    let path = files
        .path()
        .join("usr/share/doc/tokend/third-party-licences.txt.gz");
    let unzipped = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(unzipped.status.success(), "{unzipped:?}");
    let licences = String::from_utf8(unzipped.stdout).unwrap();
    let programs = [
        "usr/bin/tokend",
        "usr/bin/tokenctl",
        "usr/bin/tokenctl-request",
    ]
    .map(|it| files.path().join(it));
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    all_are_named(
        &licences,
        &programs.each_ref().map(|it| it.as_path()),
        &target,
    );
    assert!(
        licences.contains("GNU C library"),
        "tokenctl is linked with it"
    );
}

#[test]
fn the_tarball_names_every_crate_in_it_with_its_licence() {
    let files = released::unpacked(&released::tarball());
    let licences = fs::read_to_string(files.path().join("third-party-licences.txt")).unwrap();
    let programs =
        ["bin/tokend", "bin/tokenctl", "bin/tokenctl-request"].map(|it| files.path().join(it));
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    all_are_named(
        &licences,
        &programs.each_ref().map(|it| it.as_path()),
        &target,
    );
    assert!(licences.contains("musl libc"));
}
