//! The protocol of oidc-agent, by which `oidc-token` and the libraries of C, Python and Go ask for access tokens.
//!
//! Owns one conversation: a request in, an answer out, in clear or encrypted as the client began it. The encryption protects nothing: neither
//! side proves who it is, and the socket is one of this machine. It is here because these libraries always use it. Must never take a
//! credential, nor hand out anything but access tokens: all other requests of the protocol are refused.

mod conversation;
mod reading;
mod reply;
mod request;
mod secret_box;

pub use conversation::{Conversation, Step};
pub use reply::{Reply, fault};
pub use request::{Freshness, Refusal, Request, Whose, is_same_issuer};
pub use secret_box::NoRandomness;
