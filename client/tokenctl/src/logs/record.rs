//! One audit record, from a line of the audit file or of `journalctl --output=json`.
//!
//! Owns how it reads for people, and that both sources give the same JSON. Fields of a newer daemon are kept as they are.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::names::Names;

/// The fields that are numbers; the journal has texts only.
const NUMBERS: [&str; 13] = [
    "schema",
    "seq",
    "boot_ms",
    "uid",
    "gid",
    "pid",
    "grant",
    "min_validity_ms",
    "attempt",
    "took_ms",
    "count",
    "lost",
    "deliveries",
];
/// What the names of fields begin with in the journal.
const PREFIX: &str = "TOKEND_";

#[derive(Debug)]
pub(super) struct Record {
    fields: Map<String, Value>,
    pub(super) time: Timestamp,
}

impl Record {
    /// Reads a line of the audit file.
    pub(super) fn of_file(line: &[u8]) -> Option<Self> {
        Self::of(serde_json::from_slice(line).ok()?)
    }

    /// Reads a line of the journal.
    pub(super) fn of_journal(line: &[u8]) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let value = typed(&name, text(value)?);
            Some((name, value))
        });
        Self::of(fields.collect())
    }

    fn of(fields: Map<String, Value>) -> Option<Self> {
        let time = fields.get("time")?.as_str()?.parse().ok()?;
        fields.get("event")?.as_str()?;
        Some(Self { fields, time })
    }

    pub(super) fn is_about(&self, account: &str) -> bool {
        self.text("account") == Some(account)
    }

    /// All of it, as an object.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// Time, what, result, who, and by which rule.
    pub(super) fn line(&self, zone: &TimeZone, names: &mut Names) -> String {
        let time = self.time.to_zoned(zone.clone());
        let time = time.strftime("%Y-%m-%d %H:%M:%S");
        let mut line = format!("{time}  {:<24}  {}", self.what(), self.result());
        let who = self.who(names);
        for (word, value) in [
            ("", (!who.is_empty()).then_some(who.as_str())),
            ("by ", self.text("rule")),
        ] {
            if let Some(value) = value {
                line.push_str(&format!("  {word}{value}"));
            }
        }
        if let Some(detail) = self.text("detail") {
            line.push_str(&format!("  ({detail})"));
        }
        line
    }

    /// `release (get)`, `login 7 (ahead-of-expiry)`.
    fn what(&self) -> String {
        let event = self.text("event").unwrap_or_default();
        let (what, why) = match event {
            "attempt" => {
                let kind = self.text("kind").unwrap_or(event);
                let number = self.number("attempt");
                let number = number.map_or_else(String::new, |number| format!(" {number}"));
                (format!("{kind} attempt{number}"), self.text("cause"))
            }
            _ => (event.to_owned(), self.text("request")),
        };
        match why {
            Some(why) if why != what => format!("{what} ({why})"),
            _ => what,
        }
    }

    /// `ok`, `granted in 120 ms`, `not-allowed, 17 times`.
    fn result(&self) -> String {
        let mut result = self.text("outcome").unwrap_or("-").to_owned();
        if let Some(took) = self.number("took_ms") {
            result.push_str(&format!(" in {took} ms"));
        }
        if let Some(count) = self.number("count").filter(|count| *count > 1) {
            result.push_str(&format!(", {count} times"));
        }
        result
    }

    /// The peer: user, unit, program and process.
    fn who(&self, names: &mut Names) -> String {
        let uid = self.number("uid").and_then(|uid| u32::try_from(uid).ok());
        let mut parts: Vec<String> = uid.map(|uid| names.of(uid)).into_iter().collect();
        let places = ["unit", "user_unit", "exe"].map(|name| self.text(name));
        parts.extend(places.into_iter().flatten().map(str::to_owned));
        parts.extend(self.number("pid").map(|pid| format!("pid {pid}")));
        parts.join(", ")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }
}

/// A value of the journal: a text, the bytes of what is no text, or several values, of which the first counts.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(values) if values.iter().all(Value::is_u64) => {
            let bytes = values.iter().filter_map(Value::as_u64);
            let bytes: Vec<u8> = bytes.filter_map(|byte| u8::try_from(byte).ok()).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(values) => text(values.into_iter().next()?),
        _ => None,
    }
}

/// The type that the audit file has.
fn typed(name: &str, text: String) -> Value {
    match (name, text.as_str()) {
        ("forced", "true") => Value::Bool(true),
        ("forced", "false") => Value::Bool(false),
        (name, number) if NUMBERS.contains(&name) => number
            .parse::<u64>()
            .map_or_else(|_| Value::String(text.clone()), Value::from),
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"schema":1,"run":"r","seq":7,"time":"2026-11-30T13:00:00.000Z","boot_ms":5,"event":"denial","outcome":"not-allowed","request":"get","account":"ads","uid":4294967294,"unit":"backup.service","pid":12,"forced":false,"count":17}"#;

    #[test]
    fn both_sources_give_the_same_record() {
        let file = Record::of_file(FILE.as_bytes()).unwrap();
        let fields: Map<String, Value> = serde_json::from_str(FILE).unwrap();
        let mut journal: Map<String, Value> = fields
            .into_iter()
            .map(|(name, value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (
                    format!("TOKEND_{}", name.to_uppercase()),
                    Value::String(text),
                )
            })
            .collect();
        journal.insert("MESSAGE".to_owned(), Value::Null);
        let line = serde_json::to_vec(&journal).unwrap();
        assert_eq!(Record::of_journal(&line).unwrap().json(), file.json());
        assert!(file.is_about("ads") && !file.is_about("ad"));
    }

    #[test]
    fn people_read_time_what_result_and_who() {
        let record = Record::of_file(FILE.as_bytes()).unwrap();
        assert_eq!(
            record.line(&TimeZone::UTC, &mut Names::default()),
            "2026-11-30 13:00:00  denial (get)              not-allowed, 17 times  user 4294967294, backup.service, pid 12"
        );
        let attempt = r#"{"time":"2026-11-30T13:00:00Z","event":"attempt","outcome":"granted","kind":"login","attempt":3,"cause":"get","took_ms":120}"#;
        let attempt = Record::of_file(attempt.as_bytes()).unwrap();
        assert_eq!(
            attempt.line(&TimeZone::UTC, &mut Names::default()),
            "2026-11-30 13:00:00  login attempt 3 (get)     granted in 120 ms"
        );
    }

    #[test]
    fn what_is_no_record_is_none() {
        for wrong in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"time":"x","event":"y"}"#,
            r#"{"time":"2026-11-30T13:00:00Z"}"#,
        ] {
            assert!(Record::of_file(wrong.as_bytes()).is_none(), "{wrong}");
            assert!(Record::of_journal(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let bytes = r#"{"TOKEND_TIME":"2026-11-30T13:00:00Z","TOKEND_EVENT":["start","stop"],"TOKEND_DETAIL":[27,91,50,74]}"#;
        let record = Record::of_journal(bytes.as_bytes()).unwrap();
        assert_eq!(
            (record.text("event"), record.text("detail")),
            (Some("start"), Some("\u{1b}[2J"))
        );
    }
}
