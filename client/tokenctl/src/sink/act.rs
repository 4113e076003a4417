//! What can be done when the token in a file has changed.
//!
//! Owns the words of systemctl.

use std::path::PathBuf;

use rustix::process::Signal;

/// What the configuration asks for.
#[derive(Debug, Clone)]
pub(super) struct OnChange {
    pub(super) act: Act,
    pub(super) with_token: bool,
}

/// What is done.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Command(Vec<String>),
    /// This signal, to the process whose number is in this file.
    Signal(i32, PathBuf),
}

impl Act {
    /// Those that tell a program to read its files again, or to end.
    pub(super) const SIGNALS: [(&'static str, (&'static str, i32)); 6] = [
        ("HUP", ("HUP", Signal::HUP.as_raw())),
        ("INT", ("INT", Signal::INT.as_raw())),
        ("USR1", ("USR1", Signal::USR1.as_raw())),
        ("USR2", ("USR2", Signal::USR2.as_raw())),
        ("TERM", ("TERM", Signal::TERM.as_raw())),
        ("WINCH", ("WINCH", Signal::WINCH.as_raw())),
    ];

    pub(super) fn reload(unit: &str, of_user: bool) -> Self {
        Self::systemctl(of_user, &["reload", "--", unit])
    }

    pub(super) fn kill((signal, _): (&str, i32), unit: &str, of_user: bool) -> Self {
        let signal = format!("--signal={signal}");
        Self::systemctl(of_user, &["kill", "--kill-whom=main", &signal, "--", unit])
    }

    fn systemctl(of_user: bool, words: &[&str]) -> Self {
        let user = of_user.then_some("--user");
        let all = ["systemctl"].into_iter().chain(user);
        let all = all
            .chain(["--no-ask-password"])
            .chain(words.iter().copied());
        Self::Command(all.map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(act: Act) -> String {
        match act {
            Act::Command(words) => words.join(" "),
            Act::Signal(..) => panic!("it is done without systemctl"),
        }
    }

    #[test]
    fn units_are_reloaded_and_signalled_by_the_manager_they_belong_to() {
        let [(_, hup), ..] = Act::SIGNALS;
        for (act, expected) in [
            (
                Act::reload("-a.service", false),
                "systemctl --no-ask-password reload -- -a.service",
            ),
            (
                Act::reload("a.service", true),
                "systemctl --user --no-ask-password reload -- a.service",
            ),
            (
                Act::kill(hup, "a.service", false),
                "systemctl --no-ask-password kill --kill-whom=main --signal=HUP -- a.service",
            ),
        ] {
            assert_eq!(words(act), expected);
        }
    }
}
