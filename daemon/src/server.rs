//! Sockets, and what is said on them: clients by frames, readers of metrics by HTTP.
//!
//! Owns connections with their bounds and deadlines. What a request means is in `requests`, which knows of no transport.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod listen;
pub(crate) mod metrics_http;
