//! The wire contract as a whole: golden frames, hostile bytes, round trips.
#![expect(clippy::expect_used, reason = "what tests share is a test too")]

mod golden;
mod hostile;
mod protocol;
mod round_trip;
mod samples;
mod tomorrow;
