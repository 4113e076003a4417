//! Scripted misbehaviour of a provider.
//!
//! Describes what goes wrong and when; `serve` carries it out. A fault never changes what the ledger records
//! about a processed request: a lost answer is an answer the provider believes it gave.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Api, Endpoint};

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// Whether the provider has done its work before the fault: with `true`, a reset is a lost answer.
    #[serde(default)]
    pub processed: bool,
}

impl Fault {
    /// The fault comes before the provider has done anything.
    #[must_use]
    pub fn before(kind: FaultKind) -> Self {
        Self {
            kind,
            processed: false,
        }
    }

    /// The fault comes after the provider has issued, spent or revoked what the request called for.
    #[must_use]
    pub fn after(kind: FaultKind) -> Self {
        Self {
            kind,
            processed: true,
        }
    }
}

/// The kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// The right answer, delayed by this many milliseconds.
    Slow {
        /// The delay in milliseconds.
        ms: u64,
    },
    /// No answer, ever; the connection stays open.
    Hang,
    /// The connection is reset (RST) without an answer.
    Reset,
    /// This answer instead.
    Reply(Canned),
    /// 429 with this `Retry-After`.
    Throttled {
        /// Absent: the header is not sent.
        retry_after: Option<RetryAfter>,
    },
    /// 200 and bytes that are neither JSON nor UTF-8.
    Garbage,
    /// 200 and a JSON string of this many bytes.
    Huge {
        /// Length of the body.
        bytes: u64,
    },
    /// 200 and a body that never ends, one byte at a time.
    Trickle,
    /// 200 and a body that breaks off half-way, against its Content-Length.
    Truncated,
    /// The right answer if processed, a page of HTML otherwise, both labelled `text/html`.
    WrongContentType,
}

impl FaultKind {
    /// `status` with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Reply(Canned {
            status,
            ..Canned::default()
        })
    }

    /// `status` with a gateway's page in HTML.
    #[must_use]
    pub fn page(status: u16) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Self::Reply(Canned {
            status,
            headers,
            body: "<html><title>Attention Required!</title></html>".to_owned(),
        })
    }

    /// A redirect (307, which would repeat the credentials) to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        let headers = vec![("location".to_owned(), location.to_owned())];
        Self::Reply(Canned {
            status: 307,
            headers,
            body: String::new(),
        })
    }

    /// `status` with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Reply(Canned {
            status,
            headers,
            body: body.to_owned(),
        })
    }
}

/// A literal answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// HTTP status.
    pub status: u16,
    /// Header names and values; an invalid one is left out.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// The three forms of `Retry-After` that occur in practice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RetryAfter {
    /// Delay in seconds.
    Seconds(u64),
    /// An HTTP date this many seconds ahead.
    Date(u64),
    /// Anything, such as `soon`.
    Text(String),
}

/// A line of the fault script: the requests it applies to, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only this account; any when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// Only this API; any when absent.
    #[serde(default)]
    pub api: Option<Api>,
    /// Only this endpoint; login and refresh when absent.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// How many requests; forever when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// What goes wrong with those requests.
    pub fault: Fault,
}

impl Rule {
    /// Applies once to login and refresh of one account.
    #[must_use]
    pub fn once(account: &str, fault: Fault) -> Self {
        Self {
            account: Some(account.to_owned()),
            api: None,
            endpoint: None,
            times: Some(1),
            fault,
        }
    }

    /// The same rule for one endpoint only.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// The same rule for `times` requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The same rule until the script is cleared.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.times = None;
        self
    }

    fn concerns(&self, account: Option<&str>, api: Api, endpoint: Endpoint) -> bool {
        self.account
            .as_deref()
            .is_none_or(|name| Some(name) == account)
            && self.api.is_none_or(|wanted| wanted == api)
            && match self.endpoint {
                Some(wanted) => wanted == endpoint,
                None => matches!(endpoint, Endpoint::Login | Endpoint::Refresh),
            }
    }
}

/// The rules in force; the first that applies to a request is consumed.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Rule>);

impl Script {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(super) fn clear(&mut self, account: Option<&str>) {
        self.0
            .retain(|rule| account.is_some() && rule.account.as_deref() != account);
    }

    pub(super) fn take(
        &mut self,
        account: Option<&str>,
        api: Api,
        endpoint: Endpoint,
    ) -> Option<Fault> {
        let at = self
            .0
            .iter()
            .position(|rule| rule.concerns(account, api, endpoint))?;
        let rule = self.0.get_mut(at)?;
        let fault = rule.fault.clone();
        match &mut rule.times {
            None => {}
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => {
                self.0.remove(at);
            }
        }
        Some(fault)
    }
}

/// Milliseconds of a [`FaultKind::Slow`] as a duration.
pub(super) fn delay(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
