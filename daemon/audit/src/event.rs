//! The content of a record, and its fields as they are written.
//!
//! Owns the names of fields, which are a promise (`AUDIT.md`). Must never hold a secret. Everything that came from outside is bounded and
//! escaped here, so that no place has to do so.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;
use tokend_config::AuditEvent;
use tokend_engine::{AttemptCause, AttemptKind};
use tokend_policy::{Outlet, Peer, Policy};
use tokend_proto::{AccountName, Fault};

use super::fingerprint::TokenFingerprint;
use super::outcome::{Outcome, Trigger};
use tokend_process::escaping::Escaped;

/// The version of the schema. It grows when a field changes its meaning or is removed; new fields and events do not change it.
pub(crate) const SCHEMA: u32 = 1;
/// The longest text in a field, in bytes.
const LONGEST: usize = 512;

/// An event to record. A field that is `None` is left out of the record.
#[derive(Debug, Clone)]
pub struct Event {
    /// The kind of event.
    pub kind: AuditEvent,
    /// The outcome.
    pub outcome: Outcome,
    /// Who asked.
    pub peer: Option<Peer>,
    /// The request.
    pub request: Option<Trigger>,
    /// Which account.
    pub account: Option<AccountName>,
    /// The fingerprint of the token.
    pub token: Option<TokenFingerprint>,
    /// The grant the token came with: the id of the attempt that brought it.
    pub grant: Option<u64>,
    /// The rule that decided.
    pub rule: Option<(Arc<Policy>, usize)>,
    /// How long the token had to stay valid.
    pub min_validity_ms: Option<u64>,
    /// Whether a new token was demanded.
    pub forced: Option<bool>,
    /// What is known of the attempt, if the event is one.
    pub attempt: Option<Box<Attempt>>,
    /// How often the event happened, where one record stands for several.
    pub count: Option<u64>,
    /// Records that were lost.
    pub lost: Option<u64>,
    /// Further details, in words.
    pub detail: Option<Box<str>>,
}

/// A finished attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The number of the attempt.
    pub id: u64,
    /// Whether it was a login or a refresh.
    pub kind: AttemptKind,
    /// Why it was made.
    pub cause: AttemptCause,
    /// The duration, in milliseconds.
    pub took_ms: u64,
    /// The dialect that made it.
    pub dialect: Box<str>,
}

/// An event with its sequence number.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub run: Arc<str>,
    pub seq: u64,
    pub wall_ms: i64,
    pub boot_ms: u64,
    pub event: Event,
}

impl Event {
    /// A reload that was not requested by a peer, with its cause.
    pub fn of_reload(by: Trigger, fault: Option<&Fault>) -> Self {
        Self {
            request: Some(by),
            ..Self::new(AuditEvent::Reload, Outcome::of(fault))
        }
    }

    /// An event of this kind with this outcome; all other fields are empty.
    pub fn new(kind: AuditEvent, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            peer: None,
            request: None,
            account: None,
            token: None,
            grant: None,
            rule: None,
            min_validity_ms: None,
            forced: None,
            attempt: None,
            count: None,
            lost: None,
            detail: None,
        }
    }
}

impl Record {
    /// The fields in the order they are written. Their text never contains a control character.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Json)> {
        let event = &self.event;
        let mut fields = Vec::with_capacity(20);
        // A field without a value is left out.
        let mut put = |name, value: Json| {
            if !value.is_null() {
                fields.push((name, value));
            }
        };
        put("schema", SCHEMA.into());
        put("run", text(&self.run));
        put("seq", self.seq.into());
        put("time", time(self.wall_ms).into());
        put("boot_ms", self.boot_ms.into());
        put("event", event.kind.as_str().into());
        put("outcome", event.outcome.as_str().into());
        put("request", event.request.map(Trigger::as_str).into());
        let account = event.account.as_ref();
        put("account", account.map(AccountName::as_str).into());
        if let Some(peer) = &event.peer {
            put("outlet", peer.outlet.map(Outlet::as_str).into());
            put("uid", peer.uid.into());
            put("gid", peer.gid.into());
            put("pid", peer.pid.into());
            put("unit", peer.unit().map(text).into());
            put("user_unit", peer.user_unit().map(text).into());
            let path = peer.executable().map(|path| path.to_string_lossy());
            put("exe", path.map(|path| text(&path)).into());
        }
        let rule = event.rule.as_ref();
        let rule = rule.and_then(|(policy, rule)| policy.rules().get(*rule));
        put("rule", rule.map(|rule| text(&rule.to_string())).into());
        put("token", event.token.map(|token| token.to_string()).into());
        put("grant", event.grant.into());
        put("min_validity_ms", event.min_validity_ms.into());
        put("forced", event.forced.into());
        if let Some(attempt) = &event.attempt {
            put("attempt", attempt.id.into());
            put("kind", attempt.kind.as_str().into());
            put("cause", attempt.cause.as_str().into());
            put("took_ms", attempt.took_ms.into());
            put("dialect", text(&attempt.dialect));
        }
        put("count", event.count.into());
        put("lost", event.lost.into());
        put("detail", event.detail.as_deref().map(text).into());
        fields
    }

    /// The record as one line of JSON.
    pub(crate) fn json(&self, out: &mut Vec<u8>) {
        let mut before = '{';
        for (name, value) in self.fields() {
            // Names of fields need no escapes.
            out.extend_from_slice(format!("{before}\"{name}\":{value}").as_bytes());
            before = ',';
        }
        out.push(b'}');
        out.push(b'\n');
    }

    /// The record as a sentence.
    pub(crate) fn sentence(&self) -> String {
        let event = &self.event;
        let mut sentence = format!("audit: {}", event.kind.as_str());
        // Writing to a string does not fail.
        if let Some(account) = &event.account {
            let _written = write!(sentence, " of {account}");
        }
        if let Some(peer) = &event.peer {
            let _written = write!(sentence, " for uid {} pid {}", peer.uid, peer.pid);
        }
        let _written = write!(sentence, ": {}", event.outcome.as_str());
        if let Some(count) = event.count {
            let _written = write!(sentence, " ({count} times within a minute)");
        }
        if let Some(lost) = event.lost {
            let _written = write!(sentence, " ({lost})");
        }
        sentence
    }
}

fn text(text: &str) -> Json {
    let mut shown = Escaped(text).to_string();
    if shown.len() > LONGEST {
        let cut = shown.floor_char_boundary(LONGEST);
        shown.truncate(cut);
        shown.push('…');
    }
    shown.into()
}

/// RFC 3339, in UTC, with milliseconds.
fn time(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| wall_ms.to_string(), |at| format!("{at:.3}"))
}
