//! Records to the journal, by its native protocol: one datagram of `NAME=value` lines each.
//!
//! systemd.io/JOURNAL_NATIVE_PROTOCOL. Values are bounded and hold no line end, so neither the long form of a field nor a record in a
//! file descriptor is ever needed.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use tokend_config::AuditEvent;

use super::destination::{Destination, OpenSink, Room, Sink, Takes};
use super::event::Record;

const SOCKET: &str = "/run/systemd/journal/socket";
/// `journalctl MESSAGE_ID=` finds all records. Made once, for good.
const MESSAGE_ID: &str = "5d1a0b7f3c9e4a42a6d08f1be37c52e9";
/// How long a journal that accepts nothing may block the thread. The thread retries afterwards.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) const DESTINATION: Destination = Destination {
    name: "journal",
    takes: Takes::All,
    room: Room::USUAL,
    required: true,
    open: |settings| Ok(is_on(settings.journal).then(|| Box::new(Journal::at(SOCKET)) as OpenSink)),
    check: |settings, _| Ok(is_on(settings.journal)),
};

#[derive(Debug)]
pub(super) struct Journal {
    path: Box<str>,
    socket: Option<UnixDatagram>,
    datagram: Vec<u8>,
}

/// Whether records go to the journal: as configured, or if systemd started this process and a journal exists.
fn is_on(set: Option<bool>) -> bool {
    set.unwrap_or_else(|| std::env::var_os("INVOCATION_ID").is_some() && Path::new(SOCKET).exists())
}

impl Journal {
    pub(super) fn at(path: &str) -> Self {
        Self {
            path: path.into(),
            socket: None,
            datagram: Vec::new(),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket
            }
        };
        let socket = self.socket.insert(socket);
        // The path is looked up each time: a restarted journal has a new socket there.
        socket.send_to(&self.datagram, &*self.path).map(drop)
    }
}

impl Sink for Journal {
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()> {
        for record in records {
            encode(record, &mut self.datagram);
            self.send()
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path)))?;
            *done += 1;
        }
        Ok(())
    }

    fn finish(&mut self) {}
}

fn encode(record: &Record, datagram: &mut Vec<u8>) {
    datagram.clear();
    let mut line = |name: &str, value: &str| {
        datagram.extend_from_slice(name.as_bytes());
        datagram.push(b'=');
        // The text is escaped already; a line end here would start another field.
        datagram.extend(value.bytes().filter(|byte| *byte != b'\n'));
        datagram.push(b'\n');
    };
    line("MESSAGE", &record.sentence());
    line("MESSAGE_ID", MESSAGE_ID);
    line("SYSLOG_IDENTIFIER", "tokend");
    line("PRIORITY", priority(record.event.kind));
    for (name, value) in record.fields() {
        let name = format!("TOKEND_{}", name.to_ascii_uppercase());
        match value {
            Json::String(text) => line(&name, &text),
            other => line(&name, &other.to_string()),
        }
    }
}

/// syslog(3): warning for records somebody should look at, informational for all others.
fn priority(event: AuditEvent) -> &'static str {
    match event {
        AuditEvent::Lost => "3",
        AuditEvent::Denial => "4",
        _ => "6",
    }
}
