//! Sockets and their protocols: frames for clients, HTTP for readers of metrics.
//!
//! Owns connections with their bounds and deadlines. The meaning of a request is in `requests`, which knows of no transport.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod listen;
pub(crate) mod metrics_http;
pub(crate) mod parting;
