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

pub(super) fn found(
    severity: Severity,
    topic: Topic,
    message: impl Into<String>,
    advice: impl Into<String>,
) -> Finding {
    Finding {
        topic,
        account: None,
        severity,
        message: message.into(),
        advice: Some(advice.into()),
    }
}
