//! What is to happen in the situations the design names, driven by hand.

mod asks;
mod doubt;
mod ended;
mod failures;
mod front;
mod fuzz;
mod hosts;
mod need;
mod refresh;
mod refused;
mod restart;
mod store;
mod trial;
mod wishes;
