//! Which request each call sends, how long its answer may take, and how the answer is read.
//!
//! Shared by both clients. It never does I/O.

use std::time::Duration;

use tokend_proto::{
    AccountLine, AccountName, AccountStatus, ApiLine, ClientFrame, CredentialStatus, DiagnosisPage,
    LoginSecret, MetricsCursor, MetricsPage, NamedSecret, OLDEST, Request, RequestId, Response,
    SecretText, ServerFrame, SinkLine, VERSION, Whoami,
};

use crate::options::millis;
use crate::{ClientError, Deadlines, GetOptions, Patience, Token};

/// The id of the greeting; requests count from 1.
pub(crate) const HELLO: RequestId = RequestId(0);

/// More accounts than this are refused, so that a peer cannot fill our memory page by page.
const MAX_ACCOUNTS: usize = 1_000_000;

/// A request, its time limit, and how it may be sent.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) limit: Duration,
    /// How long a new connection may stay without a greeting: the client gives up a daemon that does not even
    /// greet sooner than one that works.
    pub(crate) greeting: Duration,
    /// Whether the daemon may see it twice without harm. Any other request is sent only to a daemon that has
    /// greeted.
    pub(crate) repeatable: bool,
}

impl Call {
    pub(crate) fn get(options: &GetOptions, deadlines: &Deadlines) -> Self {
        let patience = options.patience();
        let request = Request::Get {
            account: options.account.clone(),
            min_validity_ms: options.min_validity.map(millis),
            wait_ms: millis(patience.wait),
            timeout_ms: patience.timeout_ms(deadlines.grace),
        };
        Self {
            request,
            limit: patience.limit(),
            // A daemon that is being started is waited for.
            greeting: patience.limit(),
            repeatable: true,
        }
    }

    pub(crate) fn refresh(
        account: &AccountName,
        patience: Patience,
        deadlines: &Deadlines,
    ) -> Self {
        let account = account.clone();
        let request = Request::Refresh {
            account,
            wait_ms: millis(patience.wait),
            timeout_ms: patience.timeout_ms(deadlines.grace),
        };
        Self {
            request,
            limit: patience.limit(),
            greeting: patience.limit(),
            repeatable: false,
        }
    }

    pub(crate) fn reject(
        account: &AccountName,
        token: SecretText,
        patience: Patience,
        deadlines: &Deadlines,
    ) -> Self {
        let account = account.clone();
        let request = Request::Reject {
            account,
            token,
            wait_ms: millis(patience.wait),
            timeout_ms: patience.timeout_ms(deadlines.grace),
        };
        Self {
            request,
            limit: patience.limit(),
            greeting: patience.limit(),
            repeatable: false,
        }
    }

    /// A request that changes nothing and waits for nobody, so it may be made once more.
    fn read(request: Request, deadlines: &Deadlines) -> Self {
        Self {
            request,
            limit: deadlines.answer,
            greeting: deadlines.answer,
            repeatable: true,
        }
    }

    pub(crate) fn metrics(after: Option<MetricsCursor>, deadlines: &Deadlines) -> Self {
        // A daemon that was restarted does not know the cursor, and says so.
        Self::read(Request::Metrics { after }, deadlines)
    }

    pub(crate) fn status(
        account: Option<&AccountName>,
        after: Option<AccountName>,
        deadlines: &Deadlines,
    ) -> Self {
        let request = Request::Status {
            account: account.cloned(),
            after,
        };
        Self::read(request, deadlines)
    }

    pub(crate) fn list(after: Option<AccountName>, deadlines: &Deadlines) -> Self {
        Self::read(Request::List { after }, deadlines)
    }

    pub(crate) fn apis(
        account: Option<&AccountName>,
        after: Option<AccountName>,
        deadlines: &Deadlines,
    ) -> Self {
        let request = Request::Apis {
            account: account.cloned(),
            after,
        };
        Self::read(request, deadlines)
    }

    pub(crate) fn sinks(
        account: Option<&AccountName>,
        after: Option<AccountName>,
        deadlines: &Deadlines,
    ) -> Self {
        let request = Request::Sinks {
            account: account.cloned(),
            after,
        };
        Self::read(request, deadlines)
    }

    /// Only the beginning of the body is sent, since the rules look no further and a frame holds no more.
    pub(crate) fn refusal(
        account: &AccountName,
        status: u16,
        body: &[u8],
        deadlines: &Deadlines,
    ) -> Result<Self, ClientError> {
        const MOST: usize = 16 * 1024;
        let body = body.get(..MOST).unwrap_or(body);
        let text = String::from_utf8_lossy(body).into_owned();
        let body = SecretText::new(text)
            .map_err(|error| ClientError::protocol(format!("the body cannot be sent: {error}")))?;
        let request = Request::Refusal {
            account: account.clone(),
            status,
            body,
        };
        Ok(Self::read(request, deadlines))
    }

    pub(crate) fn reload(deadlines: &Deadlines) -> Self {
        Self {
            request: Request::Reload,
            limit: deadlines.attempt,
            greeting: deadlines.answer,
            repeatable: false,
        }
    }

    /// The daemon may have to read the caller's executable first.
    pub(crate) fn whoami(deadlines: &Deadlines) -> Self {
        Self {
            request: Request::Whoami,
            limit: deadlines.attempt,
            greeting: deadlines.answer,
            repeatable: true,
        }
    }

    pub(crate) fn login(account: &AccountName, secret: LoginSecret, deadlines: &Deadlines) -> Self {
        let request = Request::Login {
            account: account.clone(),
            secret,
        };
        Self {
            request,
            limit: deadlines.attempt,
            greeting: deadlines.answer,
            repeatable: false,
        }
    }

    pub(crate) fn enter(
        account: &AccountName,
        secrets: Vec<NamedSecret>,
        deadlines: &Deadlines,
    ) -> Self {
        let account = account.clone();
        Self {
            request: Request::Enter { account, secrets },
            limit: deadlines.attempt,
            greeting: deadlines.answer,
            repeatable: false,
        }
    }

    pub(crate) fn credential(account: &AccountName, deadlines: &Deadlines) -> Self {
        let account = account.clone();
        Self {
            request: Request::Credential { account },
            limit: deadlines.answer,
            greeting: deadlines.answer,
            repeatable: true,
        }
    }

    pub(crate) fn diagnose(
        account: Option<&AccountName>,
        after: Option<AccountName>,
        deadlines: &Deadlines,
    ) -> Self {
        let request = Request::Diagnose {
            account: account.cloned(),
            after,
        };
        Self {
            request,
            // The daemon makes connections for it.
            limit: deadlines.attempt,
            greeting: deadlines.answer,
            repeatable: true,
        }
    }

    pub(crate) fn forget(account: &AccountName, deadlines: &Deadlines) -> Self {
        let request = Request::Forget {
            account: account.clone(),
        };
        Self {
            request,
            limit: deadlines.answer,
            greeting: deadlines.answer,
            repeatable: false,
        }
    }
}

/// The first frame of a connection.
pub(crate) fn hello() -> ClientFrame {
    let request = Request::hello(concat!("tokend-client ", env!("CARGO_PKG_VERSION")));
    ClientFrame { id: HELLO, request }
}

/// Whether the first frame of the daemon greets us.
pub(crate) fn welcomed(frame: ServerFrame) -> Result<(), ClientError> {
    match frame {
        // Before the greeting a fault is about the connection, whatever its id.
        ServerFrame {
            response: Response::Fault(fault),
            ..
        } => Err(fault.into()),
        ServerFrame {
            id: HELLO,
            response: Response::Welcome { version, daemon },
        } => match version {
            OLDEST..=VERSION => Ok(()),
            _ => Err(ClientError::protocol(format!(
                "{daemon} chose version {version}, which was not offered"
            ))),
        },
        _ => Err(ClientError::protocol("the first frame is not a greeting")),
    }
}

pub(crate) fn token(response: Response) -> Result<Token, ClientError> {
    match response {
        Response::Token(token) => Ok(token.into()),
        other => Err(unexpected(other, "a token")),
    }
}

/// The new token, or `None` for a peer that may cause one but not have it.
pub(crate) fn refreshed(response: Response) -> Result<Option<Token>, ClientError> {
    match response {
        Response::Token(token) => Ok(Some(token.into())),
        Response::Done { .. } => Ok(None),
        other => Err(unexpected(other, "a token")),
    }
}

pub(crate) fn status(
    response: Response,
) -> Result<(Vec<AccountStatus>, Option<AccountName>), ClientError> {
    match response {
        Response::Status(page) => Ok((page.accounts, page.next)),
        other => Err(unexpected(other, "a status")),
    }
}

pub(crate) fn metrics(response: Response) -> Result<MetricsPage, ClientError> {
    match response {
        Response::Metrics(page) => Ok(page),
        other => Err(unexpected(other, "metrics")),
    }
}

pub(crate) fn accounts(
    response: Response,
) -> Result<(Vec<AccountLine>, Option<AccountName>), ClientError> {
    match response {
        Response::Accounts(page) => Ok((page.accounts, page.next)),
        other => Err(unexpected(other, "a list")),
    }
}

pub(crate) fn sinks(
    response: Response,
) -> Result<(Vec<SinkLine>, Option<AccountName>), ClientError> {
    match response {
        Response::Sinks(page) => Ok((page.sinks, page.next)),
        other => Err(unexpected(other, "sinks")),
    }
}

pub(crate) fn apis(response: Response) -> Result<(Vec<ApiLine>, Option<AccountName>), ClientError> {
    match response {
        Response::Apis(page) => Ok((page.apis, page.next)),
        other => Err(unexpected(other, "what tokens are for")),
    }
}

pub(crate) fn credential(response: Response) -> Result<CredentialStatus, ClientError> {
    match response {
        Response::Credential(status) => Ok(*status),
        other => Err(unexpected(other, "what the account logs in with")),
    }
}

pub(crate) fn refusal(response: Response) -> Result<bool, ClientError> {
    match response {
        Response::Refusal { is_refusal } => Ok(is_refusal),
        other => Err(unexpected(other, "whether the token was refused")),
    }
}

pub(crate) fn diagnosis(response: Response) -> Result<DiagnosisPage, ClientError> {
    match response {
        Response::Diagnosis(page) => Ok(page),
        other => Err(unexpected(other, "a diagnosis")),
    }
}

pub(crate) fn whoami(response: Response) -> Result<Whoami, ClientError> {
    match response {
        Response::Whoami(whoami) => Ok(*whoami),
        other => Err(unexpected(other, "a description of the caller")),
    }
}

pub(crate) fn done(response: Response) -> Result<String, ClientError> {
    match response {
        Response::Done { message } => Ok(message),
        other => Err(unexpected(other, "a confirmation")),
    }
}

/// Collects pages until the last.
pub(crate) struct Pages<T> {
    items: Vec<T>,
    pages: usize,
    after: Option<AccountName>,
}

impl<T> Pages<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Vec::new(),
            pages: 0,
            after: None,
        }
    }

    /// Where the next page begins.
    pub(crate) fn after(&self) -> Option<AccountName> {
        self.after.clone()
    }

    /// Adds a page; all of it, when that was the last one.
    pub(crate) fn add(
        mut self,
        (items, next): (Vec<T>, Option<AccountName>),
    ) -> Result<Result<Vec<T>, Self>, ClientError> {
        self.items.extend(items);
        self.pages += 1;
        let Some(next) = next else {
            return Ok(Ok(self.items));
        };
        // A page may be empty where all of its accounts are for others.
        if self.after.is_some_and(|after| next <= after) {
            return Err(ClientError::protocol("its pages do not advance"));
        }
        if self.items.len() > MAX_ACCOUNTS || self.pages > MAX_ACCOUNTS {
            return Err(ClientError::protocol(format!(
                "it has more than {MAX_ACCOUNTS} accounts"
            )));
        }
        self.after = Some(next);
        Ok(Err(self))
    }
}

fn unexpected(response: Response, wanted: &str) -> ClientError {
    let found = match response {
        Response::Fault(fault) => return fault.into(),
        Response::Welcome { .. } => "a greeting",
        Response::Token(_) => "a token",
        Response::Status(_) => "a status",
        Response::Metrics(_) => "metrics",
        Response::Accounts(_) => "a list",
        Response::Done { .. } => "a confirmation",
        Response::Whoami(_) => "a description of the caller",
        Response::Diagnosis(_) => "a diagnosis",
        Response::Apis(_) => "what tokens are for",
        Response::Refusal { .. } => "whether a token was refused",
        Response::Retired { .. } | Response::Unavailable(_) => "a part of a watch",
        _ => "an answer of a kind that only a newer client knows",
    };
    ClientError::protocol(format!("got {found} instead of {wanted}"))
}
