//! The pure state machine of tokend: who attempts what, and when.
pub mod ids;
pub mod pace;
pub mod time;
pub use ids::*;
pub use pace::{Rate, Tat};
pub use time::Timestamp;
