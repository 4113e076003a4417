//! The outlets: listeners beside that of the native protocol, by which programs get tokens in protocols of their own.
//!
//! Owns one file or folder for each outlet, and what they share: their sockets (`listeners`) and the way to an answer (`caller`). Bytes are
//! read and made by `tokend-outlets`, which is pure; places, "nobody" and the ends of connections are those of `server::accept`. An outlet
//! proves its caller by the kernel and hands out nothing that the caller could not have had by `get`: each answer is decided by `requests`,
//! and its first byte is written while that configuration is held in force.
//!
//! A new outlet is a variant of [`Outlet`](tokend_policy::Outlet), an implementation of [`Protocol`](crate::server::accept::Protocol), and its
//! line in `listeners`.

mod caller;
mod credentials;
mod http;
#[cfg(test)]
mod in_vain;
mod kept;
pub(crate) mod listeners;
mod oidc_agent;
mod shared;
