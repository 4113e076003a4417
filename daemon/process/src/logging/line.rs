//! How one event becomes one line. Owns the styles of a line; must never write a value unescaped.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::escaping::{Escaped, Value};

/// A format with all choices made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// See [`super::Format::Human`].
    Human,
    /// The same for a terminal that shows colours.
    HumanInColour,
    /// See [`super::Format::Journal`].
    Journal,
    /// See [`super::Format::Json`].
    Json,
}

/// Formats events in the style that stands here at the moment.
#[derive(Debug)]
pub(super) struct Line(pub(super) Arc<Mutex<Style>>);

impl<S> FormatEvent<S, Fields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level();
        let style = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match style {
            Style::Json => return json(context, writer, event),
            Style::Journal => write!(writer, "<{}>", priority(level))?,
            Style::Human => {
                SystemTime.format_time(&mut writer)?;
                write!(writer, " {level:>5} ")?;
            }
            Style::HumanInColour => {
                writer.write_str("\x1b[2m")?;
                SystemTime.format_time(&mut writer)?;
                write!(writer, "\x1b[0m \x1b[{}m{level:>5}\x1b[0m ", colour(level))?;
            }
        }
        spans(context, &mut writer)?;
        Fields.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

/// Formats the values of events and spans: the message first as it is, then `key=value`, all of it escaped.
#[derive(Debug)]
pub(super) struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = Text {
            writer,
            empty: true,
            result: Ok(()),
        };
        fields.record(&mut text);
        text.result
    }
}

struct Text<'writer> {
    writer: Writer<'writer>,
    empty: bool,
    result: fmt::Result,
}

impl Text<'_> {
    fn write(&mut self, field: &Field, text: &str, is_quoted: bool) {
        if self.result.is_err() {
            return;
        }
        let gap = if self.empty { "" } else { " " };
        self.empty = false;
        let writer = &mut self.writer;
        self.result = match field.name() {
            "message" => write!(writer, "{gap}{}", Escaped(text)),
            name if is_quoted => write!(writer, "{gap}{name}={}", Escaped(text)),
            name => write!(writer, "{gap}{name}={}", Value(text)),
        };
    }
}

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.write(field, &text, is_quoted(&text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value, false);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}

/// Whether `text` is one whole string literal, as `Debug` writes strings, so that quoting it again would only
/// make it harder to read.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return false;
    };
    let mut escaped = false;
    for c in inner.chars() {
        if c == '"' && !escaped {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !escaped
}

/// The spans around the event, outermost first: `name{key=value}: `.
fn spans<S>(context: &FmtContext<'_, S, Fields>, writer: &mut Writer<'_>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    for span in context
        .event_scope()
        .into_iter()
        .flat_map(|scope| scope.from_root())
    {
        writer.write_str(span.name())?;
        let extensions = span.extensions();
        match extensions.get::<FormattedFields<Fields>>() {
            Some(fields) if !fields.is_empty() => write!(writer, "{{{fields}}}: ")?,
            _ => writer.write_str(": ")?,
        }
    }
    Ok(())
}

/// sd-daemon(3): the priorities of syslog(3).
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

fn colour(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "1;31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

/// `time`, `level` and `target`, then the event's own values; `spans` where there are any.
fn json<S>(
    context: &FmtContext<'_, S, Fields>,
    mut writer: Writer<'_>,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let metadata = event.metadata();
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    let mut around = String::new();
    spans(context, &mut Writer::new(&mut around))?;

    let mut object = Object(Map::new());
    event.record(&mut object);
    let mut values = object.0;
    values.insert("time".into(), time.into());
    values.insert(
        "level".into(),
        metadata.level().as_str().to_ascii_lowercase().into(),
    );
    values.insert("target".into(), metadata.target().into());
    if let Some(around) = around.strip_suffix(": ") {
        values.insert("spans".into(), around.into());
    }
    for c in Json::Object(values).to_string().chars() {
        // JSON itself only escapes the controls below U+0020.
        if c.is_control() {
            write!(writer, "\\u{:04x}", u32::from(c))?
        } else {
            writer.write_char(c)?
        }
    }
    writer.write_char('\n')
}

/// An event's values as JSON. Numbers and booleans stay what they are.
struct Object(Map<String, Json>);

impl Object {
    /// Names the line itself uses get an underscore, so that an event cannot change its own level or time.
    fn insert(&mut self, field: &Field, value: Json) {
        let name = match field.name() {
            reserved @ ("time" | "level" | "target" | "spans") => format!("{reserved}_"),
            name => name.to_owned(),
        };
        self.0.insert(name, value);
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert(field, value.to_string().into());
    }
}
