//! Which source file of a crate imports which, and the circles among them.
//!
//! Owns what counts as an import: a `use` with its groups and renames, a path that is written out where it is used, `super::`, a re-export, which is
//! followed to the file that defines the name, a path inside the tokens of a macro, and the use of a macro by name. What only the tests
//! of a module import (`#[cfg(test)]`) does not count: they may look at everything. Reads source text and knows nothing of this workspace.
//!
//! Two files in a circle cannot be understood, moved or tested one without the other. This check finds a small type in the wrong file.

mod circles;
mod graph;
mod krate;
mod modules;
mod names;
mod references;
mod test_only;

pub use circles::circles;
pub use graph::{Arrow, Imports, Unread};
pub use krate::read;
