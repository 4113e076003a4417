//! The crate from outside: the contract on both stores, the memory store's faults, and the local store on a real file system.

mod common;
mod contract;
mod damage;
mod local;
mod memory;
