//! All consumers, by name.
//!
//! Owns their order. The entries are in `clouds`, `packages`, `platforms` and `programs`.

use super::consumer::Consumer;
use super::{clouds, packages, platforms, programs};

/// All of them, by name.
pub(super) const TABLE: &[Consumer] = &[
    programs::ANSIBLE,
    platforms::AWS,
    clouds::AZURE,
    platforms::CARGO,
    programs::CLAUDE_CODE,
    programs::CLAUDE_MCP,
    programs::CRON,
    programs::CURL,
    platforms::DOCKER,
    platforms::DOCKER_HELPER,
    platforms::ENVOY,
    clouds::EXTERNAL_ACCOUNT,
    clouds::GCE,
    platforms::GIT,
    platforms::GITHUB_ACTIONS,
    programs::GO,
    packages::GO_HTTP,
    programs::HTTPIE,
    platforms::KUBECTL,
    programs::MBSYNC,
    programs::MSMTP,
    programs::MUTT,
    packages::NODE,
    platforms::NPM,
    programs::OIDC_AGENT,
    platforms::PIP,
    platforms::PIP_KEYRING,
    platforms::PROMETHEUS,
    programs::PYTHON,
    packages::PYTHON_PACKAGE,
    programs::REQUEST,
    packages::RUST,
    programs::SHELL,
    platforms::SYSTEMD,
    platforms::SYSTEMD_CREDS,
    platforms::TERRAFORM,
    platforms::TWINE,
    platforms::UV,
    programs::WGET,
    platforms::WLCG,
];
