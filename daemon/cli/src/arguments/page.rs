//! Compares tokend(8) with the command line: the page has every command, option, choice and exit code, and no others.

use std::path::Path;

use clap::CommandFactory as _;
use tokend_pages::{Page, complaints, differences, exit_codes};

use super::{Cli, EXIT_CODES};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/tokend.8");

#[test]
fn the_page_has_the_whole_command_line_and_nothing_else() {
    let wrong = differences(&Page::read(PAGE), Cli::command(), &exit_codes(EXIT_CODES));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn programs_that_show_man_pages_have_no_complaint() {
    assert_eq!(complaints(Path::new(PAGE)), "");
}
