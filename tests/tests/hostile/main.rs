//! tokend among enemies: providers, clients, disks and clocks that break the rules.
//!
//! Real `tokend` and `tokenctl` throughout. `daemon/PROMISES.md` names the tests of this binary, so rename with care.

#![expect(clippy::unwrap_used, reason = "helpers of a test may fail it")]

mod audit;
mod clients;
mod damaged_name;
mod descriptors;
mod disk;
mod doctor;
mod egress;
mod files;
mod killed;
mod log;
mod memory;
mod programs;
mod provider;
mod proxy;
mod scene;
mod secrecy;
mod sink;
mod store;
mod surroundings;
mod taken;
mod time;
mod tls;
mod wall_clock;

use tokend_harness::hostile::{failings, raw, wire};
