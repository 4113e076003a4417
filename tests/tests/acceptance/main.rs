//! The broker from outside: real `tokend` and `tokenctl`, real sockets, real files, simulated providers.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod advice;
mod architecture;
mod audit;
mod commands;
mod completions;
mod consumers;
mod contributing;
mod docker;
mod doctor;
mod documents;
mod ended;
mod endpoint;
mod entering;
mod examples;
mod exec_file;
mod failures;
mod git;
mod helpers;
mod http;
mod init;
mod kept;
mod languages;
mod lifecycle;
mod logs;
mod metrics;
mod monitoring;
mod oidc_agent;
mod pace;
mod policy;
mod prometheus;
mod promises;
mod providers;
mod refresh;
mod request;
mod rust_libraries;
mod secrecy;
mod sharing;
mod sink;
mod stage;
mod subscription;
mod terminal;
mod token_watch;
mod watch;
