//! The wire contract between `tokend` and its clients: names, messages, faults, status, frames.
//!
//! Owns every type that crosses the socket and the one place that turns it into bytes. It never does I/O, never
//! reads a clock and never depends on a runtime, so that daemon and clients can each bring their own.
//!
//! A connection begins with [`Request::Hello`]; a client may send its first real request right behind it. Each
//! [`ClientFrame`] carries a [`RequestId`], its [`ServerFrame`] carries the same one, and answers may overtake
//! each other. All enums are append-only: each variant has its number on the wire. A number of a newer release is
//! read as `Other`, and a peer of version 1, which cannot do so, is sent none: see [`ServerFrame::for_version`].
//! `PROTOCOL.md` beside this crate describes every byte.
//!
//! Public enums are `#[non_exhaustive]`, or say why not. Structs of messages are not: their fields are encoded by
//! position, so that none is ever added; a new field is a new kind of message.
//!
//! ```
//! use tokend_proto::{ClientFrame, FrameBuffer, Request, RequestId, decode_client, encode};
//!
//! let hello = ClientFrame { id: RequestId(0), request: Request::hello("example") };
//! let mut bytes = Vec::new();
//! encode(&hello, &mut bytes)?;
//!
//! let mut received = FrameBuffer::new();
//! assert_eq!(received.push(&bytes), bytes.len());
//! let payload = received.next_frame()?.ok_or("incomplete")?;
//! assert_eq!(decode_client(payload)?, hello);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::exhaustive_enums)]

mod api;
mod credential;
mod diagnosis;
mod fault;
mod frame;
mod message;
mod names;
mod numbered;
mod presentation;
mod protocol;
mod request_kind;
mod secret;
mod sink;
mod status;
mod versions;
mod whoami;
mod wire;

pub use api::{ApiLine, ApisPage};
pub use credential::{CredentialField, CredentialStatus, LoginSecret, NamedSecret, SecretOrigin};
pub use diagnosis::{DiagnosisPage, Finding, Severity, Topic};
pub use fault::{Fault, FaultCode};
pub use frame::FrameBuffer;
pub use message::{
    AccountLine, AccountsPage, ClientFrame, MetricsCursor, MetricsPage, Request, RequestId,
    Response, ServerFrame, Token, negotiate,
};
pub use names::{AccountName, NameError};
pub use presentation::Presentation;
pub use protocol::{MAGIC, MAX_FRAME, OLDEST, TOLERANT, VERSION};
pub use request_kind::RequestKind;
pub use secret::{SecretError, SecretText};
pub use sink::{SinkLine, SinksPage};
pub use status::{AccountState, AccountStatus, AttemptKind, LastAttempt, PaceStatus, StatusPage};
pub use whoami::{Executable, Id, Namespaces, Permitted, Seen, UserUnit, Whoami};
pub use wire::{HEADER_LEN, WireError, decode_client, decode_server, encode, frame_len};
