//! Requests without what they ask.
//!
//! Owns the stable name of each kind of request in logs, metrics and audit records.

/// Which request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// [`Request::Get`](crate::Request::Get).
    Get,
    /// [`Request::Status`](crate::Request::Status).
    Status,
    /// [`Request::List`](crate::Request::List).
    List,
    /// [`Request::Refresh`](crate::Request::Refresh).
    Refresh,
    /// [`Request::Reject`](crate::Request::Reject).
    Reject,
    /// [`Request::Reload`](crate::Request::Reload).
    Reload,
    /// [`Request::Login`](crate::Request::Login).
    Login,
    /// [`Request::Forget`](crate::Request::Forget).
    Forget,
    /// [`Request::Metrics`](crate::Request::Metrics).
    Metrics,
    /// [`Request::Diagnose`](crate::Request::Diagnose).
    Diagnose,
    /// [`Request::Whoami`](crate::Request::Whoami).
    Whoami,
    /// [`Request::Watch`](crate::Request::Watch).
    Watch,
    /// [`Request::Apis`](crate::Request::Apis).
    Apis,
    /// [`Request::Refusal`](crate::Request::Refusal).
    Refusal,
    /// [`Request::Report`](crate::Request::Report).
    Report,
    /// [`Request::Sinks`](crate::Request::Sinks).
    Sinks,
    /// [`Request::Credential`](crate::Request::Credential).
    Credential,
    /// [`Request::Enter`](crate::Request::Enter).
    Enter,
    /// [`Request::Other`](crate::Request::Other): a kind of request of a newer release.
    Other,
    /// [`Request::Hello`](crate::Request::Hello), which begins a connection.
    Hello,
}

impl RequestKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 20] = [
        Self::Get,
        Self::Status,
        Self::List,
        Self::Refresh,
        Self::Reject,
        Self::Reload,
        Self::Login,
        Self::Forget,
        Self::Metrics,
        Self::Diagnose,
        Self::Whoami,
        Self::Watch,
        Self::Apis,
        Self::Refusal,
        Self::Report,
        Self::Sinks,
        Self::Credential,
        Self::Enter,
        Self::Other,
        Self::Hello,
    ];

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Status => "status",
            Self::List => "list",
            Self::Refresh => "refresh",
            Self::Reject => "reject",
            Self::Reload => "reload",
            Self::Login => "login",
            Self::Forget => "forget",
            Self::Metrics => "metrics",
            Self::Diagnose => "diagnose",
            Self::Whoami => "whoami",
            Self::Watch => "watch",
            Self::Apis => "apis",
            Self::Refusal => "refusal",
            Self::Report => "report",
            Self::Sinks => "sinks",
            Self::Credential => "credential",
            Self::Enter => "enter",
            Self::Other => "other",
            Self::Hello => "hello",
        }
    }
}
