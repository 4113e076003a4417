//! A strict, stateful token provider: the four documented APIs and RFC 6749, over loopback HTTP.
//!
//! It refuses everything that the documents do not allow, keeps a ledger of every token, misbehaves on request, and remembers each request
//! so that a test can say "exactly one refresh with this token". It must never be lenient by accident.

mod account;
mod admin;
mod api;
mod calls;
pub mod clock;
mod configuration;
pub mod fault;
mod http;
mod ledger;
pub mod log;
mod running;
mod serve;
mod shared;
pub mod spec;
mod ticket;
mod tokens;

pub use admin::ADMIN_HELP;
pub use configuration::{Configuration, write_secret};
pub use running::{Ports, Simulator};
