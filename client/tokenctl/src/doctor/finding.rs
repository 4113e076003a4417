//! A finding of the doctor.

use std::borrow::Cow;

use tokend_client::Severity;

use crate::failure::Exit;

/// One thing that was checked.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) topic: Cow<'static, str>,
    pub(super) account: Option<String>,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) advice: Option<String>,
    /// How the process ends when this is the first problem.
    pub(super) exit: Exit,
}

impl Finding {
    pub(super) fn ok(topic: &'static str, message: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            account: None,
            severity: Severity::Ok,
            message: message.into(),
            advice: None,
            exit: Exit::Software,
        }
    }

    pub(super) fn warning(
        topic: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            advice: Some(advice.into()),
            ..Self::ok(topic, message)
        }
    }

    pub(super) fn problem(
        topic: &'static str,
        exit: Exit,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Problem,
            advice: Some(advice.into()),
            exit,
            ..Self::ok(topic, message)
        }
    }
}
