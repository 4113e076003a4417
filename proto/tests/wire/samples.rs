//! One sample of every message, shared by the golden and the hostile tests.

use tokend_proto::*;

/// A name, a frame as bytes without its header, for each variant of [`Request`].
pub(crate) fn requests() -> Vec<(&'static str, ClientFrame)> {
    let requests = [
        Request::Hello {
            magic: MAGIC,
            oldest: 1,
            newest: 1,
            client: "tokenctl 0.1.0".into(),
        },
        Request::Get {
            account: name("ads"),
            min_validity_ms: Some(60_000),
            wait_ms: 1_000,
            timeout_ms: 30_000,
        },
        Request::Status {
            account: Some(name("ads")),
            after: None,
        },
        Request::List {
            after: Some(name("ads")),
        },
        Request::Refresh {
            account: name("ads"),
            wait_ms: 1_000,
            timeout_ms: 30_000,
        },
        Request::Reject {
            account: name("ads"),
            token: secret("sample-access-token"),
            wait_ms: 1_000,
            timeout_ms: 30_000,
        },
        Request::Reload,
        Request::Login {
            account: name("ads"),
            secret: LoginSecret::Password(secret("sample")),
        },
        Request::Forget {
            account: name("you@example.com"),
        },
        diagnose(),
        metrics(),
        Request::Whoami,
        watch(),
        apis(),
        refusal(),
        sink_report(),
        sinks(),
        asked(),
        entered(),
    ];
    let frame = |(id, request): (u64, Request)| {
        (
            request.name(),
            ClientFrame {
                id: RequestId(id),
                request,
            },
        )
    };
    (0..).zip(requests).map(frame).collect()
}

fn diagnose() -> Request {
    Request::Diagnose {
        account: None,
        after: Some(name("ads")),
    }
}

fn watch() -> Request {
    Request::Watch {
        account: name("ads"),
        min_validity_ms: Some(60_000),
    }
}

fn apis() -> Request {
    Request::Apis {
        account: None,
        after: Some(name("ads")),
    }
}

fn metrics() -> Request {
    Request::Metrics {
        after: Some(cursor()),
    }
}

fn api() -> ApiLine {
    ApiLine {
        account: name("ads"),
        urls: vec!["https://api.example.com/v1".into()],
    }
}

fn refusal() -> Request {
    Request::Refusal {
        account: name("ads"),
        status: 401,
        body: secret("{}"),
    }
}

fn sink_report() -> Request {
    Request::Report {
        account: name("ads"),
        sink: "prometheus".into(),
        instance: 7,
        path: "/run/tokend-sink/prometheus/token".into(),
        problem: None,
    }
}

fn sinks() -> Request {
    Request::Sinks {
        account: None,
        after: Some(name("ads")),
    }
}

fn sink() -> SinkLine {
    SinkLine {
        account: name("ads"),
        sink: "prometheus".into(),
        uid: 998,
        path: "/run/tokend-sink/prometheus/token".into(),
        problem: Some("no space left on device".into()),
    }
}

fn asked() -> Request {
    Request::Credential {
        account: name("ads"),
    }
}

fn entered() -> Request {
    Request::Enter {
        account: name("ads"),
        secrets: vec![NamedSecret {
            field: "pin".into(),
            secret: secret("sample-pin"),
        }],
    }
}

pub(crate) fn credential() -> CredentialStatus {
    CredentialStatus {
        account: name("ads"),
        fields: vec![CredentialField {
            field: "pin".into(),
            description: "from the card".into(),
            required: true,
            multiline: false,
            origin: SecretOrigin::Entered,
            entered_at_ms: Some(1_700_000_000_000),
            entered_by: Some(1000),
        }],
        can_refresh: true,
        has_refresh_token: true,
        refresh_entered_at_ms: None,
        refresh_entered_by: Some(0),
    }
}

/// A name and a frame for each variant of [`Response`].
pub(crate) fn responses() -> Vec<(&'static str, ServerFrame)> {
    let responses = [
        Response::Welcome {
            version: 1,
            daemon: "tokend 0.1.0".into(),
        },
        Response::Token(token()),
        Response::Status(StatusPage {
            accounts: vec![status()],
            next: Some(name("ads")),
        }),
        Response::Accounts(AccountsPage {
            accounts: vec![AccountLine {
                account: name("ads"),
                dialect: "oauth2".into(),
            }],
            next: None,
        }),
        Response::Done {
            message: "reloaded".into(),
        },
        Response::Fault(fault()),
        Response::Diagnosis(DiagnosisPage {
            findings: vec![finding()],
            next: Some(name("ads")),
        }),
        Response::Metrics(MetricsPage {
            text: "# TYPE tokend_connections gauge\ntokend_connections 1\n".into(),
            next: Some(cursor()),
        }),
        Response::Whoami(Box::new(whoami())),
        Response::Retired { grant: 7 },
        Response::Unavailable(fault()),
        Response::Apis(ApisPage {
            apis: vec![api()],
            next: None,
        }),
        Response::Refusal { is_refusal: true },
        Response::Sinks(SinksPage {
            sinks: vec![sink()],
            next: None,
        }),
        Response::Credential(Box::new(credential())),
    ];
    let frame = |(id, response): (u64, Response)| {
        (
            response_name(&response),
            ServerFrame {
                id: RequestId(id),
                response,
            },
        )
    };
    (0..).zip(responses).map(frame).collect()
}

/// Every variant has its name here.
pub(crate) fn response_name(response: &Response) -> &'static str {
    match response {
        Response::Welcome { .. } => "welcome",
        Response::Token(_) => "token",
        Response::Status(_) => "status",
        Response::Accounts(_) => "accounts",
        Response::Done { .. } => "done",
        Response::Fault(_) => "fault",
        Response::Whoami(_) => "whoami",
        Response::Diagnosis(_) => "diagnosis",
        Response::Metrics(_) => "metrics",
        Response::Retired { .. } => "retired",
        Response::Unavailable(_) => "unavailable",
        Response::Apis(_) => "apis",
        Response::Refusal { .. } => "refusal",
        Response::Sinks(_) => "sinks",
        Response::Credential(_) => "credential",
        _ => panic!("a new variant needs its name here"),
    }
}

pub(crate) fn token() -> Token {
    Token {
        access_token: secret("sample-access-token"),
        token_type: "Bearer".into(),
        expires_at_ms: Some(1_700_003_600_000),
        remaining_ms: Some(3_600_000),
        scope: Some("read write".into()),
        grant: 7,
    }
}

pub(crate) fn finding() -> Finding {
    Finding {
        topic: Topic::Provider,
        account: Some(name("ads")),
        severity: Severity::Problem,
        message: "https://ads.example.com cannot be reached: timed out".into(),
        advice: Some("check the network".into()),
    }
}

pub(crate) fn cursor() -> MetricsCursor {
    MetricsCursor {
        snapshot: 3,
        family: 2,
        index: 1,
    }
}

pub(crate) fn fault() -> Fault {
    Fault::new(FaultCode::Paced, "the pace allows no login now")
        .advise("wait, or ask less often")
        .retry_after(250_000)
}

pub(crate) fn whoami() -> Whoami {
    Whoami {
        user: Id {
            id: 1000,
            name: Some("deploy".into()),
        },
        group: Id { id: 50, name: None },
        pid: 4711,
        groups: Ok(vec![Id {
            id: 51,
            name: Some("ci".into()),
        }]),
        more_groups: 1,
        unit: Ok(Some("user@1000.service".into())),
        user_unit: Ok(Some(UserUnit {
            owner: 1000,
            unit: "sync.service".into(),
        })),
        executable: Ok(Executable {
            path: "/usr/bin/sync".into(),
            is_there: true,
        }),
        sha256: Err("the daemon has no permission to read it".into()),
        namespaces: Ok(Namespaces {
            nested_pid: Some(false),
            other_user: None,
        }),
        administrator: vec!["reload".into()],
        accounts: vec![Permitted {
            permission: "get".into(),
            accounts: 2,
        }],
    }
}

pub(crate) fn status() -> AccountStatus {
    let pace = PaceStatus {
        left: 3,
        burst: 5,
        period_ms: 60_000,
        next_at_ms: 1_700_000_000_000,
    };
    AccountStatus {
        account: name("ads"),
        dialect: "ad-verification".into(),
        base_url: "https://ads.example.com".into(),
        state: AccountState::BackingOff,
        has_token: true,
        expires_at_ms: Some(1_700_003_600_000),
        remaining_ms: Some(3_600_000),
        lifetime_ms: Some(7_200_000),
        has_refresh_token: true,
        unpersisted: false,
        attempts: pace,
        logins: PaceStatus { left: 0, ..pace },
        next_attempt_at_ms: Some(1_700_000_250_000),
        last_attempt: Some(LastAttempt {
            kind: AttemptKind::Refresh,
            at_ms: 1_700_000_000_000,
            duration_ms: 120,
            outcome: "provider is busy (503)".into(),
        }),
        problem: Some(fault()),
        waiters: 2,
    }
}

/// The payload of a frame, without its header.
pub(crate) fn payload<T: serde::Serialize>(frame: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes).expect("a sample fits a frame");
    bytes.split_off(HEADER_LEN)
}

pub(crate) fn name(text: &str) -> AccountName {
    text.parse().expect("a sample name is valid")
}

pub(crate) fn secret(text: &str) -> SecretText {
    SecretText::new(text).expect("a sample secret is short")
}
