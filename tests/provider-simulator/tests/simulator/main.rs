//! The provider simulator by itself, as a peer sees it over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod documents_000_001;
mod documents_002_003;
mod exchanges;
mod faults;
mod ledger;
mod requests;
mod samples;
