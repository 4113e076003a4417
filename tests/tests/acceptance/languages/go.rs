//! `client/examples/go`, built and run with Debian's Go.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use tokend_harness::{Site, demand::carried_out};

use super::show_ending_with;

/// Builds the example; nothing where there is no Go.
fn built(site: &Site) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join("go").exists());
    let there = match found {
        true => Ok(()),
        false => Err(anyhow::anyhow!("there is no go; tests/setup installs it")),
    };
    carried_out("the example in Go", there).then(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/examples/go");
        let program = site.path().join("ask");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&program).arg("main.go");
        let output = build.current_dir(source).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        program
    })
}

#[test]
fn the_example_renews_reports_and_says_that_a_login_is_required() {
    let site = Site::new().unwrap();
    if let Some(program) = built(&site) {
        show_ending_with(1, |_| Command::new(&program));
    }
}

#[test]
fn the_example_is_short_and_in_the_form_of_gofmt() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/examples/go/main.go");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.lines().count() <= 55,
        "a program that is copied is read first"
    );
    assert!(!text.contains("    "), "indented by tabs");
}
