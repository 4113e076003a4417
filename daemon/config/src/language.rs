//! Which parts of a configuration's lines a report may show, and where its keys belong.

use tokend_document::Language;
use tokend_policy::Permission;

use super::log::Format;

/// The language of `tokend.toml` and the files it includes.
#[derive(Debug)]
pub(super) struct Configuration;

/// Keys that belong in no table. TOML puts keys at the end of a file into its last table.
const TOP: [&str; 6] = [
    "admin",
    "dialect_dir",
    "include_dir",
    "socket",
    "socket_mode",
    "state_dir",
];

/// Keys whose values are never secret, so that a line which TOML does not understand can be shown.
const PLAIN_KEYS: [&str; 12] = [
    "provider",
    "base_url",
    "username",
    "client_id",
    "scope",
    "refresh",
    "socket",
    "socket_mode",
    "state_dir",
    "allow",
    "level",
    "format",
];

impl Language for Configuration {
    /// A numeric user or group id, or a keyword of the language.
    fn is_plain(&self, key: &str, value: &str) -> bool {
        // No longer than a numeric user or group id.
        let is_number =
            (1..=10).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_digit());
        match key {
            "user" | "group" => is_number || value == "root",
            "burst" | "host_in_flight" | "connections" | "connections_per_user" => is_number,
            "may" => Permission::ALL.iter().any(|it| it.as_str() == value),
            "refresh" => ["auto", "always", "on-demand"].contains(&value),
            "mode" => value == "as-mounted",
            "whole" | "required" => ["true", "false"].contains(&value),
            // Words of closed lists, and durations, which are too short and too regular to be a secret.
            "level" => ["error", "warn", "info", "debug", "trace"].contains(&value),
            "format" => Format::WORDS.iter().any(|(word, _)| *word == value),
            "every" | "timeout" => value.len() <= 8 && tokend_notation::duration(value).is_ok(),
            "provider" => tokend_dialect::Catalog::builtin().find(value).is_ok(),
            _ => false,
        }
    }

    fn is_plain_line(&self, key: &str, value: &str) -> bool {
        // A URL may hold a password before its `@`.
        PLAIN_KEYS.contains(&key) && !(value.contains("://") && value.contains('@'))
    }

    fn belongs(&self, key: &str) -> Option<String> {
        TOP.contains(&key).then(|| {
            format!("`{key}` belongs at the top of the configuration, above its first `[table]`")
        })
    }

    fn is_toml(&self) -> &'static str {
        "the configuration is TOML: lines of `key = value` below headers such as `[account.NAME]`; tokend.toml(5) has examples"
    }
}

#[cfg(test)]
mod tests;
