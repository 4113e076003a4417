//! Permission to read metrics, and reading them in parts from samples that the driver gives.

mod gather;
mod reader;

pub(crate) use reader::{Metrics, PART};
