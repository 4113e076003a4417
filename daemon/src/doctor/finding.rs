//! Constructors of findings.

use tokend_proto::{Finding, Severity, Topic};

pub(super) fn ok(topic: Topic, message: impl Into<String>) -> Finding {
    Finding {
        topic,
        account: None,
        severity: Severity::Ok,
        message: message.into(),
        advice: None,
    }
}

pub(super) fn warning(
    topic: Topic,
    message: impl Into<String>,
    advice: impl Into<String>,
) -> Finding {
    Finding {
        severity: Severity::Warning,
        advice: Some(advice.into()),
        ..ok(topic, message)
    }
}

pub(super) fn problem(
    topic: Topic,
    message: impl Into<String>,
    advice: impl Into<String>,
) -> Finding {
    Finding {
        severity: Severity::Problem,
        ..warning(topic, message, advice)
    }
}
