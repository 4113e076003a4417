//! The pure state machine of tokend: who attempts what, and when.
//!
//! It decides and the shell acts. It takes the time and events, and yields effects and when to come back; it has no
//! secret, no clock, no socket and no error.
//!
//! Invariants, each with a test of the same name in `tests/invariants.rs`:
//! - The engine never sees a secret: every event and effect derives `Debug` and may be logged.
//! - The engine cannot fail: an event for a finished attempt is a no-op.
//! - At most one attempt per account exists, because an attempt is a value inside the account's phase.
//! - Nothing is sent before its intent and its debit are durable.
//! - Nothing is published before its refresh token is durable, unless the store refused it.
//! - An attempt that was sent is never given up: not by a waiter that goes away, not by removal, not by a drain.
//! - Every waiter is settled exactly once, but one that left.
//! - A rejected credential is not tried again until something changes.
//! - What a person enters replaces nothing before it was granted, unless nothing was held.
//!
//! ```
//! use std::time::Duration;
//! use tokend_engine::{Engine, Timestamp};
//!
//! let mut engine = Engine::new(7);
//! engine.handle_timeout(Timestamp::from_millis(1_000));
//! assert_eq!(engine.poll_effect(), None);
//! assert_eq!(engine.poll_timeout(Timestamp::from_millis(1_000)), None);
//! ```

mod account;
mod attempt;
mod backoff;
mod durable;
mod effect;
mod engine;
mod event;
mod failure;
mod host;
mod ids;
mod inherit;
mod need;
mod no_verdict;
mod outcome;
mod overtaken;
mod pace;
mod plan;
mod problem;
mod saving;
mod time;
mod trial;
mod verdict;
mod view;
mod waiting;
mod wishes;
mod withheld;

pub use durable::{
    AttemptKind, Block, Candidate, Deferral, Durable, Intent, RefreshToken, TokenFacts,
};
pub use effect::{
    Attempted, Commit, Effect, Fate, Keeping, Missing, Pace, Publication, Unproved, Unproven,
    Verdict, WaiterFault, Withheld,
};
pub use engine::Engine;
pub use event::{
    Adoption, Attempt, AttemptCause, ClaimRefusal, Demand, Event, GrantFacts, HostUsed, LastAsked,
    LoginUsed, ProviderAnswer, StoreRefusal, StoreResult, Want,
};
pub use ids::{AccountKey, AttemptId, GrantId, HostKey, WaiterId};
pub use no_verdict::NoVerdict;
pub use outcome::AttemptOutcome;
pub use pace::{LARGEST_BURST, LONGEST_PERIOD, Rate, Tat};
pub use plan::{AccountPlan, HostPlan, RefreshPolicy, Reuse};
pub use problem::Problem;
pub use time::Timestamp;
pub use view::{Activity, View};
