//! Runs the two programs that show man pages, to find mistakes in one.
//!
//! Owns how they are called. mandoc(1) is strict about the language; man(1) shows what groff would complain about, as lintian does.

use std::path::Path;
use std::process::Command;

/// Everything `mandoc` and `man` complain about in the page at `path`; empty when it is well.
///
/// # Panics
/// When one of the programs is missing; `tests/setup` installs both.
pub fn complaints(path: &Path) -> String {
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-Tlint", "-Wwarning"]).arg(path);
    let mut man = Command::new("man");
    man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
        .arg(path);
    // As lintian runs it; without a width the terminal's would be used.
    man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
    said(mandoc, true) + &said(man, false)
}

/// What a program wrote to standard error, and to standard output if it reports there.
fn said(mut program: Command, out_too: bool) -> String {
    let name = program.get_program().to_string_lossy().into_owned();
    let output = program.output().unwrap_or_else(|error| {
        panic!("{name}: {error}; tests/setup installs it, or: apt-get install mandoc man-db groff")
    });
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    if out_too {
        text.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    if text.is_empty() && !output.status.success() {
        text = format!("{name} ended with {}\n", output.status);
    }
    text
}
