//! tokenctl as people and scripts run it, against a scripted daemon: every command, format and exit code.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what tests share is a test too"
)]

mod api;
mod doctor;
mod errors;
mod exec;
mod exec_file;
#[expect(dead_code, reason = "the client's own tests use the rest of it")]
#[path = "../../../tests/client/fake.rs"]
mod fake;
mod formats;
mod get;
mod helper;
mod init;
mod input;
mod request;
mod run;
mod silence;
mod status;
mod terminal;
mod token_watch;
mod usage;
mod watch;
mod whoami;
