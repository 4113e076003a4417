//! The dialect language and the built-in dialects, tested from outside.
//!
//! One test binary: the modules are named after what they cover. Sample bodies of the provider documents are files under
//! `tests/documents/`, byte for byte.

mod asks;
mod catalog;
mod document_000;
mod document_001;
mod document_002;
mod document_003;
mod exchanges;
mod explain;
mod halves;
mod lifetimes;
mod merging;
mod mistakes;
mod oauth2;
mod page;
mod properties;
mod quirks_answers;
mod quirks_errors;
mod quirks_requests;
mod readme;
mod redaction;
mod replies;
mod requests;
mod support;
mod verdicts;
