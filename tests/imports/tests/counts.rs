//! What counts as an import, on crates of a few lines.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;

use tokend_imports::{Imports, circles, read};

/// A crate of these files, read.
fn krate(files: &[(&str, &str)]) -> Imports {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    read(&directory.path().join("lib.rs")).expect("the crate is read")
}

/// The arrows of a crate whose `lib.rs` declares `a` and `b`, where `b.rs` defines the names that `a` may import.
fn arrows(a: &str) -> Vec<String> {
    let b = "pub struct Thing; pub const N: u8 = 1; pub mod inner; macro_rules! make { () => {} }";
    let imports = krate(&[
        ("lib.rs", "#[macro_use] mod b; mod a; pub struct Top;"),
        ("a.rs", a),
        ("b.rs", b),
        ("b/inner.rs", "pub struct Deep;"),
    ]);
    let name = |index: usize| imports.files[index].display().to_string();
    imports
        .arrows
        .iter()
        .map(|arrow| format!("{} -> {}", name(arrow.from), name(arrow.to)))
        .collect()
}

#[test]
fn every_way_to_name_another_file_is_an_arrow() {
    let to_b = "a.rs -> b.rs";
    for (source, expected) in [
        ("use crate::b::Thing;", to_b),
        ("use super::b::Thing as Other;", to_b),
        ("use crate::{b::{self, Thing}};", to_b),
        ("use crate::b::*;", to_b),
        ("pub use crate::b::Thing;", to_b),
        ("fn f() -> u8 { crate::b::N }", to_b),
        ("fn f(thing: &super::b::Thing) {}", to_b),
        ("fn f() { use crate::b::N; }", to_b),
        ("fn f() { println!(\"{}\", crate::b::N) }", to_b),
        ("fn f() { vec![1, { use super::b::{N, Thing}; N }]; }", to_b),
        ("macro_rules! m { () => { $crate::b::N } }", to_b),
        ("fn f() { make!() }", to_b),
        ("#[serde(with = \"crate::b\")] struct A;", to_b),
        ("mod inline { use super::super::b::Thing; }", to_b),
        (
            "use crate::b; fn f(deep: b::inner::Deep) {}",
            "a.rs -> b/inner.rs",
        ),
        (
            "use crate::b::inner as nick; fn f(deep: nick::Deep) {}",
            "a.rs -> b/inner.rs",
        ),
        ("use crate::Top;", "a.rs -> lib.rs"),
        ("use super::*;", "a.rs -> lib.rs"),
    ] {
        assert!(
            arrows(source).iter().any(|arrow| arrow == expected),
            "{source}: {:?}",
            arrows(source)
        );
    }
}

#[test]
fn what_leads_out_of_the_crate_or_is_for_tests_is_none() {
    for source in [
        "use std::collections::BTreeMap;",
        "use other::b::Thing;",
        "mod inline { pub struct A; } use inline::A;",
        "#[cfg(test)] mod tests { use crate::b::Thing; }",
        "#[cfg(all(test, unix))] use crate::b::Thing;",
        "struct A; impl A { #[cfg(test)] fn f() -> u8 { crate::b::N } }",
        "// crate::b::Thing\nfn f() { let text = \"crate::b::Thing\"; }",
    ] {
        assert_eq!(arrows(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_name_that_is_handed_on_counts_for_the_file_that_defines_it() {
    let imports = krate(&[
        ("lib.rs", "mod face; mod user;"),
        ("face.rs", "mod maker; pub use maker::Made;"),
        ("face/maker.rs", "pub struct Made;"),
        ("user.rs", "use crate::face::Made;"),
    ]);
    let words: Vec<String> = imports
        .arrows
        .iter()
        .map(|arrow| imports.words(arrow))
        .collect();
    assert_eq!(
        words,
        [
            "face.rs -> face/maker.rs: maker::Made (line 1)",
            "user.rs -> face/maker.rs: crate::face::Made (line 1)"
        ]
    );
}

#[test]
fn a_circle_is_told_with_the_arrows_that_make_it_and_nothing_else() {
    let imports = krate(&[
        ("lib.rs", "mod a; mod b; mod c; mod ground; use a::A;"),
        ("a.rs", "pub struct A; use crate::{b::B, ground::G};"),
        ("b.rs", "pub struct B;\n\nfn f() { crate::c::g() }"),
        ("c.rs", "pub fn g() {} type T = super::a::A;"),
        ("ground.rs", "pub struct G;"),
    ]);
    let found = circles(&imports);
    let words: Vec<Vec<String>> = found
        .iter()
        .map(|circle| circle.iter().map(|arrow| imports.words(arrow)).collect())
        .collect();
    assert_eq!(
        words,
        [[
            "a.rs -> b.rs: crate::b::B (line 1)",
            "b.rs -> c.rs: crate::c::g (line 3)",
            "c.rs -> a.rs: super::a::A (line 1)"
        ]]
    );
}

#[test]
fn a_folder_and_the_file_of_its_name_are_one_room() {
    let imports = krate(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod part; use part::P; use crate::b::B;"),
        ("a/part.rs", "pub struct P; use crate::b::B;"),
        ("b.rs", "pub struct B;"),
    ]);
    let rooms = imports.rooms(Path::new(""));
    let words: Vec<String> = rooms
        .arrows
        .iter()
        .map(|arrow| rooms.words(arrow))
        .collect();
    assert_eq!(
        words,
        ["a -> b: crate::b::B (a.rs) (line 1), crate::b::B (a/part.rs) (line 1)"]
    );
}

#[test]
fn a_module_without_its_file_is_told_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("lib.rs");
    std::fs::write(&root, "mod gone;").unwrap();
    let unread = read(&root).expect_err("a file is missing");
    assert!(unread.to_string().contains("gone"), "{unread}");
    std::fs::write(&root, "fn (").unwrap();
    assert!(
        read(&root)
            .expect_err("no Rust")
            .to_string()
            .contains("lib.rs")
    );
}
