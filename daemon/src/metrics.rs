//! Who may read metrics, and how they are read: in parts, of samples that the driver gives.

mod gather;
mod reader;

pub(crate) use reader::{Metrics, PART};
