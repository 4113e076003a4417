//! Replaces the numbers that a peer of an older version cannot read.
//!
//! Owns the walk through an answer to every number that may be newer than the peer. The declaration of each
//! enum says which older number is the nearest. Every frame the daemon sends must pass here: the daemon calls
//! it in one place.

use crate::{
    AccountStatus, DiagnosisPage, Fault, Finding, LastAttempt, Response, ServerFrame, TOLERANT,
};

impl ServerFrame {
    /// The frame for a client that speaks this version: a number that the version does not have is replaced by
    /// the nearest that it has. Messages and advice stay as they are.
    #[must_use]
    pub fn for_version(self, version: u16) -> Self {
        if version >= TOLERANT {
            return self;
        }
        let response = match self.response {
            Response::Fault(fault) => Response::Fault(fault.for_version(version)),
            Response::Unavailable(fault) => Response::Unavailable(fault.for_version(version)),
            Response::Status(mut page) => {
                for status in &mut page.accounts {
                    status.say_in(version);
                }
                Response::Status(page)
            }
            Response::Diagnosis(page) => Response::Diagnosis(page.for_version(version)),
            // These answers hold no such number.
            other @ (Response::Welcome { .. }
            | Response::Token(_)
            | Response::Accounts(_)
            | Response::Done { .. }
            | Response::Metrics(_)
            | Response::Whoami(_)
            | Response::Apis(_)
            | Response::Refusal { .. }
            | Response::Sinks(_)
            | Response::Retired { .. }
            | Response::Credential(_)
            | Response::Other(_)) => other,
        };
        Self { response, ..self }
    }
}

impl Fault {
    fn for_version(self, version: u16) -> Self {
        Self {
            code: self.code.for_version(version),
            ..self
        }
    }
}

impl AccountStatus {
    fn say_in(&mut self, version: u16) {
        self.state = self.state.for_version(version);
        self.problem = self.problem.take().map(|it| it.for_version(version));
        self.last_attempt = self.last_attempt.take().map(|it| LastAttempt {
            kind: it.kind.for_version(version),
            ..it
        });
    }
}

impl DiagnosisPage {
    fn for_version(self, version: u16) -> Self {
        let said = |it: Finding| Finding {
            topic: it.topic.for_version(version),
            severity: it.severity.for_version(version),
            ..it
        };
        Self {
            findings: self.findings.into_iter().map(said).collect(),
            ..self
        }
    }
}
