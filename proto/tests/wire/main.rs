//! The wire contract as a whole: golden frames, hostile bytes, round trips.
#![expect(clippy::expect_used, reason = "the helpers here are tests too")]

mod golden;
mod hostile;
mod round_trip;
mod samples;
