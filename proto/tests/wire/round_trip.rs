//! Every message that can be built arrives as it was sent, in whatever pieces the stream brings it.

use proptest::option;
use proptest::prelude::*;
use tokend_proto::*;

use crate::samples::{self, payload};

proptest! {
    #[test]
    fn client_frames_arrive(frame in client_frame()) {
        let bytes = payload(&frame);
        prop_assert_eq!(decode_client(&bytes), Ok(frame));
    }

    #[test]
    fn server_frames_arrive(frame in server_frame()) {
        let bytes = payload(&frame);
        prop_assert_eq!(decode_server(&bytes), Ok(frame));
    }

    #[test]
    fn a_stream_of_frames_arrives_in_any_pieces(
        frames in prop::collection::vec(server_frame(), 1..8),
        pieces in prop::collection::vec(1_usize..700, 1..16),
    ) {
        let mut stream = Vec::new();
        for frame in &frames {
            prop_assert_eq!(encode(frame, &mut stream), Ok(()));
        }
        let mut buffer = FrameBuffer::new();
        let mut arrived = Vec::new();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            let taken = buffer.push(&rest[..rest.len().min(*piece)]);
            rest = &rest[taken..];
            while let Some(payload) = buffer.next_frame().unwrap() {
                arrived.push(decode_server(payload).unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(arrived, frames);
    }
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    (any::<u64>(), request()).prop_map(|(id, request)| ClientFrame {
        id: RequestId(id),
        request,
    })
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    (any::<u64>(), response()).prop_map(|(id, response)| ServerFrame {
        id: RequestId(id),
        response,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let times = || (any::<u64>(), any::<u64>());
    prop_oneof![
        (any::<[u8; 6]>(), any::<u16>(), any::<u16>(), text()).prop_map(
            |(magic, oldest, newest, client)| Request::Hello {
                magic,
                oldest,
                newest,
                client
            }
        ),
        (name(), any::<Option<u64>>(), times()).prop_map(
            |(account, min_validity_ms, (wait_ms, timeout_ms))| Request::Get {
                account,
                min_validity_ms,
                wait_ms,
                timeout_ms
            }
        ),
        (option::of(name()), option::of(name()))
            .prop_map(|(account, after)| Request::Status { account, after }),
        option::of(name()).prop_map(|after| Request::List { after }),
        (name(), times()).prop_map(|(account, (wait_ms, timeout_ms))| Request::Refresh {
            account,
            wait_ms,
            timeout_ms
        }),
        (name(), secret(), times()).prop_map(|(account, token, (wait_ms, timeout_ms))| {
            Request::Reject {
                account,
                token,
                wait_ms,
                timeout_ms,
            }
        }),
        Just(Request::Reload),
        (name(), login_secret()).prop_map(|(account, secret)| Request::Login { account, secret }),
        name().prop_map(|account| Request::Forget { account }),
        (option::of(name()), option::of(name()))
            .prop_map(|(account, after)| Request::Diagnose { account, after }),
        option::of(cursor()).prop_map(|after| Request::Metrics { after }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        (any::<u16>(), text()).prop_map(|(version, daemon)| Response::Welcome { version, daemon }),
        token().prop_map(Response::Token),
        (prop::collection::vec(status(), 0..4), option::of(name()))
            .prop_map(|(accounts, next)| Response::Status(StatusPage { accounts, next })),
        (
            prop::collection::vec((name(), text()), 0..4),
            option::of(name())
        )
            .prop_map(|(lines, next)| {
                let line = |(account, dialect)| AccountLine { account, dialect };
                let accounts = lines.into_iter().map(line).collect();
                Response::Accounts(AccountsPage { accounts, next })
            }),
        text().prop_map(|message| Response::Done { message }),
        fault().prop_map(Response::Fault),
        (prop::collection::vec(finding(), 0..4), option::of(name()))
            .prop_map(|(findings, next)| Response::Diagnosis(DiagnosisPage { findings, next })),
        (text(), option::of(cursor()))
            .prop_map(|(text, next)| Response::Metrics(MetricsPage { text, next })),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    let topic = prop::sample::select(vec![Topic::Caller, Topic::Secret, Topic::Provider]);
    let severity = prop::sample::select(vec![Severity::Ok, Severity::Warning, Severity::Problem]);
    let texts = (text(), option::of(text()));
    (topic, option::of(name()), severity, texts).prop_map(
        |(topic, account, severity, (message, advice))| Finding {
            topic,
            account,
            severity,
            message,
            advice,
        },
    )
}

fn token() -> impl Strategy<Value = Token> {
    (
        secret(),
        text(),
        any::<[Option<u64>; 2]>(),
        option::of(text()),
        any::<u64>(),
    )
        .prop_map(
            |(access_token, token_type, [expires_at_ms, remaining_ms], scope, grant)| Token {
                access_token,
                token_type,
                expires_at_ms,
                remaining_ms,
                scope,
                grant,
            },
        )
}

fn status() -> impl Strategy<Value = AccountStatus> {
    let state = prop::sample::select(vec![
        AccountState::Idle,
        AccountState::Valid,
        AccountState::LoginRequired,
        AccountState::Quarantined,
    ]);
    let texts = (name(), text(), text(), state);
    let last = option::of((any::<bool>(), any::<u64>(), any::<u64>(), text()));
    let last = last.prop_map(|last| {
        last.map(|(login, at_ms, duration_ms, outcome)| {
            let kind = if login {
                AttemptKind::Login
            } else {
                AttemptKind::Refresh
            };
            LastAttempt {
                kind,
                at_ms,
                duration_ms,
                outcome,
            }
        })
    });
    let rest = (pace(), pace(), last, option::of(fault()), any::<u32>());
    (texts, any::<[bool; 3]>(), any::<[Option<u64>; 4]>(), rest).prop_map(
        |((account, dialect, base_url, state), flags, times, rest)| {
            let [has_token, has_refresh_token, unpersisted] = flags;
            let [expires_at_ms, remaining_ms, lifetime_ms, next_attempt_at_ms] = times;
            let (attempts, logins, last_attempt, problem, waiters) = rest;
            AccountStatus {
                account,
                dialect,
                base_url,
                state,
                has_token,
                expires_at_ms,
                remaining_ms,
                lifetime_ms,
                has_refresh_token,
                unpersisted,
                attempts,
                logins,
                next_attempt_at_ms,
                last_attempt,
                problem,
                waiters,
            }
        },
    )
}

fn pace() -> impl Strategy<Value = PaceStatus> {
    any::<(u32, u32, u64, u64)>().prop_map(|(left, burst, period_ms, next_at_ms)| PaceStatus {
        left,
        burst,
        period_ms,
        next_at_ms,
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    let code = prop::sample::select(FaultCode::ALL.to_vec());
    (code, text(), option::of(text()), any::<Option<u64>>()).prop_map(
        |(code, message, advice, retry_after_ms)| Fault {
            code,
            message,
            advice,
            retry_after_ms,
        },
    )
}

fn cursor() -> impl Strategy<Value = MetricsCursor> {
    any::<(u64, u32, u32)>().prop_map(|(snapshot, family, index)| MetricsCursor {
        snapshot,
        family,
        index,
    })
}

fn login_secret() -> impl Strategy<Value = LoginSecret> {
    prop_oneof![
        secret().prop_map(LoginSecret::Password),
        secret().prop_map(LoginSecret::RefreshToken),
        secret().prop_map(LoginSecret::ClientSecret),
    ]
}

fn name() -> impl Strategy<Value = AccountName> {
    "[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}".prop_map(|text| samples::name(&text))
}

fn secret() -> impl Strategy<Value = SecretText> {
    prop_oneof![text(), "x{4000,6000}"].prop_map(|text| samples::secret(&text))
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}
