//! The units under a real systemd that is booted for each test.
//!
//! Where the machine does not allow booting one (no root, no namespaces, no systemd) the tests say so and pass, except with `CI=true`,
//! where it must be possible.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod audit;
mod check;
mod credentials;
mod doctor;
mod egress;
mod endpoint;
mod files;
mod front;
mod guide;
mod init;
mod integrate;
mod licences;
mod lifecycle;
mod limits;
mod load_credential;
mod logs;
mod operations;
mod package;
mod policy;
mod released;
mod sink;
mod stage;
mod tarball;
mod user;
mod waiting;
mod watchdog;
