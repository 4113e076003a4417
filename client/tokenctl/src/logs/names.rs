//! The names of users.
//!
//! Asks the system's databases by `getent`, since a static program cannot ask them all itself; each user once.

use std::collections::HashMap;
use std::process::{Command, Stdio};

/// How many users are remembered; those beyond are shown by number.
const MOST: usize = 256;

#[derive(Default)]
pub(super) struct Names {
    known: HashMap<u32, Option<String>>,
}

impl Names {
    /// `deploy (1000)`, or `user 1000` if the user has no name.
    pub(super) fn of(&mut self, uid: u32) -> String {
        if self.known.len() >= MOST && !self.known.contains_key(&uid) {
            return format!("user {uid}");
        }
        match self.known.entry(uid).or_insert_with(|| ask(uid)) {
            Some(name) => format!("{name} ({uid})"),
            None => format!("user {uid}"),
        }
    }
}

fn ask(uid: u32) -> Option<String> {
    let mut command = Command::new("getent");
    command.args(["passwd", &uid.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (name, _) = text.split_once(':')?;
    (!name.is_empty()).then(|| name.to_owned())
}
