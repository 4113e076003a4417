//! Waiting for a daemon that is not there yet, or is being restarted.
//!
//! Owns the pauses between two tries. It never sleeps itself.

use std::time::{Duration, Instant};

use tokend_proto::{FaultCode, Response};

use crate::{ClientError, clock};

/// A restart takes about this long, so it is the first pause.
const FIRST: Duration = Duration::from_millis(10);

/// A person who starts the daemon does not notice this pause, and a daemon that is away for long costs little.
const LONGEST: Duration = Duration::from_millis(250);

/// The patience of one call.
#[derive(Debug)]
pub(crate) struct Restart {
    /// `None` for a client that tells at once that the daemon is away.
    until: Option<Instant>,
    pause: Duration,
}

impl Restart {
    pub(crate) fn new(is_waited_for: bool, limit: Duration) -> Self {
        // The clock may not be able to express more.
        const MOST: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            until: is_waited_for.then(|| clock::now() + limit.min(MOST)),
            pause: FIRST,
        }
    }

    /// The fault in an answer of a daemon that stops, which has done nothing.
    pub(crate) fn refused(&self, response: Response) -> Result<Response, ClientError> {
        match response {
            Response::Fault(fault) if self.until.is_some() && fault.code == FaultCode::Draining => {
                Err(fault.into())
            }
            response => Ok(response),
        }
    }

    /// How long to pause before the next try; `None` when there is none.
    pub(crate) fn pause(&mut self, error: &ClientError) -> Option<Duration> {
        let pause = self.pause;
        let is_in_time = self.until? > clock::now().checked_add(pause)?;
        self.pause = LONGEST.min(pause * 2);
        (is_in_time && error.passes_with_a_start()).then_some(pause)
    }
}

/// The patience of what goes on for ever.
#[cfg(feature = "async")]
#[derive(Debug)]
pub(crate) struct Again {
    pause: Duration,
}

#[cfg(feature = "async")]
impl Again {
    /// A daemon that refuses does so again in a moment; the refusals of a minute are two lines in its audit log.
    const FIRST_REFUSED: Duration = Duration::from_secs(1);
    /// How late a program may notice that its right has come back: about as long as the person who gave it waits before they wonder. A
    /// thousand programs that ask so often cost their user a tenth of what it may ask in vain.
    const LONGEST_REFUSED: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        Self { pause: FIRST }
    }

    pub(crate) fn has_worked(&mut self) {
        self.pause = FIRST;
    }

    /// How long to pause after this failure.
    pub(crate) fn pause(&mut self, error: &ClientError) -> Duration {
        let (first, longest) = match error.passes_with_a_start() {
            true => (FIRST, LONGEST),
            false => (Self::FIRST_REFUSED, Self::LONGEST_REFUSED),
        };
        let pause = self.pause.clamp(first, longest);
        self.pause = pause * 2;
        let asked = error.retry_after().unwrap_or_default();
        pause.max(asked.min(longest))
    }
}

#[cfg(all(test, feature = "async"))]
mod tests {
    use tokend_proto::Fault;

    use super::*;

    #[test]
    fn a_right_that_comes_back_is_noticed_within_ten_seconds() {
        let refused = || {
            let fault = Fault::new(FaultCode::NotAllowed, "no rule allows it");
            ClientError::from(fault.retry_after(3_600_000))
        };
        let mut again = Again::new();
        let asked = again.pause(&refused());
        assert_eq!(
            asked,
            Duration::from_secs(10),
            "however long it was told to wait"
        );
        let mut again = Again::new();
        let plain = || ClientError::from(Fault::new(FaultCode::NotAllowed, "no rule allows it"));
        let pauses: Vec<u64> = (0..6).map(|_| again.pause(&plain()).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        again.has_worked();
        assert_eq!(again.pause(&plain()).as_secs(), 1);
    }
}
