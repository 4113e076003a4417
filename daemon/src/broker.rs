//! Accounts and their tokens: the engine's task, the store thread, and the tables both use.
//!
//! Owns every decision about tokens outside of the engine. Knows neither connections nor frames: requests arrive as messages (`inbox`), and
//! served tokens are in the `registry`.

pub(crate) mod accounts;
pub(crate) mod adopt;
pub(crate) mod attempt_log;
pub(crate) mod budget;
pub(crate) mod change;
mod credential;
pub(crate) mod driver;
pub(crate) mod in_flight;
pub(crate) mod inbox;
pub(crate) mod job;
pub(crate) mod login_means;
pub(crate) mod publications;
pub(crate) mod queued;
pub(crate) mod registry;
pub(crate) mod reports;
pub(crate) mod sampling;
pub(crate) mod service_status;
pub(crate) mod shares;
pub(crate) mod sinks;
pub(crate) mod status;
pub(crate) mod steps;
pub(crate) mod store_thread;
pub(crate) mod task;
pub(crate) mod waiters;
pub(crate) mod wording;
