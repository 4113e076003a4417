//! tokenctl(1) cannot lie: it has every command, option, choice and exit code, and none that does not exist.

use std::path::Path;

use tokend_pages::{Page, complaints, differences, exit_codes};

use crate::help;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man/tokenctl.1");
const DOCKER_PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/man/docker-credential-tokenctl.1"
);
const GIT_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man/git-credential-tokenctl.1");
const CARGO_PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/man/cargo-credential-tokenctl.1"
);
const TERRAFORM_PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/man/terraform-credentials-tokenctl.1"
);

#[test]
fn the_page_has_the_whole_command_line_and_nothing_else() {
    let wrong = differences(
        &Page::read(PAGE),
        super::grammar(),
        &exit_codes(help::AFTER),
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn programs_that_show_man_pages_have_no_complaint() {
    for page in [PAGE, GIT_PAGE, DOCKER_PAGE, CARGO_PAGE, TERRAFORM_PAGE] {
        assert_eq!(complaints(Path::new(page)), "", "{page}");
    }
}
