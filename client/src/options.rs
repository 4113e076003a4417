//! What a caller may choose: which token, and how long to wait for what.
//!
//! Owns the defaults. All durations are sent as whole milliseconds; longer ones than that can express are cut.

use std::time::Duration;

use tokend_proto::AccountName;

/// What [`get`](crate::BlockingClient::get) asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// Whose token.
    pub account: AccountName,
    /// How long the token must still live; `None` leaves it to the daemon's configuration.
    pub min_validity: Option<Duration>,
    /// How long the daemon may wait for the rate limit to allow an attempt, where one is needed.
    pub wait: Duration,
    /// How long the answer may take altogether, including that wait. It may always take a quarter of a second.
    pub timeout: Duration,
}

impl GetOptions {
    /// Any token the daemon thinks good, without waiting for the rate limit, within 30 seconds.
    pub fn new(account: AccountName) -> Self {
        let Patience { wait, timeout } = Patience::default();
        Self {
            account,
            min_validity: None,
            wait,
            timeout,
        }
    }

    /// Demands that the token lives at least this long.
    #[must_use]
    pub fn min_validity(self, min_validity: Duration) -> Self {
        Self {
            min_validity: Some(min_validity),
            ..self
        }
    }

    /// Allows the daemon to wait for the rate limit; the timeout is raised so that the wait fits into it.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        let Patience { wait, timeout } = self.patience().wait(wait);
        Self {
            wait,
            timeout,
            ..self
        }
    }

    /// Limits how long the answer may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience {
            wait: self.wait,
            timeout: self.timeout,
        }
    }
}

/// How long a request that may cause an attempt is allowed to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// How long the daemon may wait for the rate limit to allow an attempt.
    pub wait: Duration,
    /// How long the answer may take altogether, including that wait. It may always take a quarter of a second.
    pub timeout: Duration,
}

impl Patience {
    /// What an answer without an attempt takes on a busy machine. With a shorter limit every request would
    /// fail.
    const LEAST: Duration = Duration::from_millis(250);

    /// How long the caller waits.
    pub(crate) fn limit(self) -> Duration {
        self.timeout.max(Self::LEAST)
    }

    /// The timeout sent to the daemon, shorter by the grace, so that its answer arrives before the caller gives
    /// up.
    pub(crate) fn timeout_ms(self, grace: Duration) -> u64 {
        millis(self.timeout.saturating_sub(grace.min(self.timeout / 10)))
    }

    /// How long an attempt itself may take, on top of the wait for the rate limit.
    const ATTEMPT: Duration = Duration::from_secs(30);

    /// Allows the daemon to wait for the rate limit; the timeout is raised so that the wait fits into it.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self {
            wait,
            timeout: self.timeout.max(wait.saturating_add(Self::ATTEMPT)),
        }
    }

    /// Limits how long the answer may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Default for Patience {
    /// No wait for the rate limit, 30 seconds altogether.
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            timeout: Self::ATTEMPT,
        }
    }
}

/// How long a client waits for the daemon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// For a connection to be made; the async client greets within it, too.
    pub connect: Duration,
    /// For an answer that causes no attempt: `status`, `list`, `forget`. For a request without a timeout of its
    /// own, a daemon that has not even greeted by then is given up.
    pub answer: Duration,
    /// For an answer that may take an attempt but has no timeout of its own: `login`, `reload`.
    pub attempt: Duration,
    /// How much sooner than the request's own timeout the daemon gives up, so that its answer arrives within
    /// that timeout; at most a tenth of it.
    pub grace: Duration,
}

impl Deadlines {
    /// The same, with another [`Deadlines::connect`].
    #[must_use]
    pub fn connect(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// The same, with another [`Deadlines::answer`].
    #[must_use]
    pub fn answer(self, answer: Duration) -> Self {
        Self { answer, ..self }
    }

    /// The same, with another [`Deadlines::attempt`].
    #[must_use]
    pub fn attempt(self, attempt: Duration) -> Self {
        Self { attempt, ..self }
    }

    /// The same, with another [`Deadlines::grace`].
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

impl Default for Deadlines {
    /// 5 s to connect, 10 s for an answer, 90 s for an attempt, half a second of grace.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(5),
            answer: seconds(10),
            attempt: seconds(90),
            grace: Duration::from_millis(500),
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
