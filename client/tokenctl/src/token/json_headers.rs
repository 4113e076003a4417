//! A token as an object of HTTP headers, for programs that add what a command prints to their requests.
//!
//! Source: `headersHelper` of an MCP server in Claude Code, code.claude.com/docs/en/mcp, read 2026-11-30: an object of strings on standard
//! output, and an exit code other than 0 for a failure.

use std::collections::BTreeMap;

use tokend_client::Token;
use zeroize::Zeroizing;

use super::parts::header;
use crate::failure::Failure;
use crate::output;

pub(super) fn text(token: &Token) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (name, prefix) = header(token)?;
    let value = Zeroizing::new([prefix.as_str(), token.access_token.expose()].concat());
    output::json_line(&BTreeMap::from([(name.as_str(), value.as_str())]))
}
