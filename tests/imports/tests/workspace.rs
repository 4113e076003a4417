//! No import between the files of any crate of this workspace closes a circle.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use tokend_imports::{circles, read};

/// The roots of every crate that the workspace names, and of the one it leaves out.
fn roots() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml"))
        .expect("the workspace has a manifest");
    let manifest: toml::Table = manifest.parse().expect("the workspace's manifest is TOML");
    let members = manifest["workspace"]["members"]
        .as_array()
        .expect("the workspace has members");
    let mut roots = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        let source = workspace.join(member).join("src");
        let found: Vec<PathBuf> = ["lib.rs", "main.rs"]
            .iter()
            .map(|name| source.join(name))
            .filter(|root| root.exists())
            .collect();
        assert!(!found.is_empty(), "{member} has no root in src/");
        roots.extend(found);
        roots.extend(
            std::fs::read_dir(source.join("bin"))
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|ext| ext == "rs")),
        );
    }
    roots
}

#[test]
fn no_import_closes_a_circle() {
    let mut report = String::new();
    for root in roots() {
        let imports = read(&root).unwrap_or_else(|unread| panic!("{unread}"));
        for (number, circle) in circles(&imports).iter().enumerate() {
            report.push_str(&format!("\n{}: circle {}\n", root.display(), number + 1));
            for arrow in circle {
                report.push_str(&format!("  {}\n", imports.words(arrow)));
            }
        }
    }
    assert!(
        report.is_empty(),
        "imports close circles; move what is imported to a file that both may import:\n{report}"
    );
}

/// The number of arrows allowed between the rooms of `daemon/src`: as many as a person can follow in a picture.
const MOST_ARROWS: usize = 45;

/// No room of the daemon imports a room that imports it, directly or through others.
#[test]
fn the_rooms_of_the_daemon_form_an_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemon/src/main.rs");
    let files = read(&root).unwrap_or_else(|unread| panic!("{unread}"));
    let rooms = files.rooms(Path::new(""));
    let picture: Vec<String> = rooms.arrows.iter().map(|it| rooms.words(it)).collect();
    let picture = picture.join("\n");
    println!("{picture}");
    let back: Vec<String> = circles(&rooms)
        .iter()
        .flatten()
        .map(|arrow| rooms.words(arrow))
        .collect();
    assert_eq!(back, [""; 0], "arrows that make a circle of rooms");
    let count = rooms.arrows.len();
    assert!(
        count <= MOST_ARROWS,
        "{count} arrows between rooms, more than {MOST_ARROWS}:\n{picture}"
    );
}
