//! HTTP and JSON: which request is which, and what each answer looks like. The contract is `proto/openapi.json`.
//!
//! Owns paths, parameters and bodies, the problem of each fault, and the events of a stream. Must never serve anything in place of what was
//! asked for: what is not understood is refused.

mod answer;
mod call;
mod events;
mod problem;

pub use answer::{Answer, Beside, answer, health};
pub use call::{Call, Form, MOST_BODY, Shape, call};
pub use events::Stream;
pub use problem::{PROBLEM, Problem};
