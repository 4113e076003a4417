//! Control of a running simulator from outside, over a loopback port of its own.
//!
//! Must never be reachable by the broker under test as if it were a provider.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    fault::Rule,
    log::{Entry, Violation},
    shared::Shared,
    spec::{Behaviour, Reuse, Rotation},
};

/// The help text of the control API.
pub const ADMIN_HELP: &str = r#"Control API (JSON, on the admin port):
  GET  /accounts                 accounts, their behaviour and their newest access token
  GET  /log?account=NAME         requests in order; all accounts without the parameter
  GET  /violations               spent tokens replayed, concurrent requests, suspensions
  POST /accounts/NAME            change behaviour; any of:
                                 {"access_ms": 5000, "refresh_ms": 60000, "rotation": "keep|repeat|new",
                                  "reuse": "refuse|revoke-family", "grace_ms": 0, "refresh_ends_access": false,
                                  "identical_tokens": false, "suspended": true, "secret": "new password"}
  POST /accounts/NAME/faults     add to the fault script; for example
                                 {"fault": {"kind": "reset", "processed": true}, "times": 1, "endpoint": "refresh"}
                                 kinds: "hang", "reset", "garbage", "trickle", "truncated", "wrong-content-type",
                                 {"slow": {"ms": 500}}, {"huge": {"bytes": 9000000}},
                                 {"throttled": {"retry_after": {"seconds": 30}}}  (or {"date": 30}, {"text": "soon"}),
                                 {"reply": {"status": 503, "headers": [["x", "y"]], "body": ""}}
                                 without "times" the fault stays until it is removed; "endpoint" is login, refresh or resource
  DELETE /accounts/NAME/faults   remove this account's faults
  POST /accounts/NAME/end-access   refuse its access tokens from now on
  POST /accounts/NAME/end-refresh  refuse its refresh tokens from now on
  POST /reset                    forget all tokens, faults and the log
"#;

/// Serves the control API until its runtime stops.
pub(super) async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    let router = Router::new()
        .route("/", get(|| async { ADMIN_HELP }))
        .route("/log", get(log))
        .route("/violations", get(violations))
        .route("/accounts", get(accounts))
        .route("/accounts/{name}", post(change))
        .route("/accounts/{name}/faults", post(fail).delete(heal))
        .route("/accounts/{name}/end-access", post(end_access))
        .route("/accounts/{name}/end-refresh", post(end_refresh))
        .route("/reset", post(reset))
        .with_state(shared);
    if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
        // Ends only with the runtime.
        drop(axum::serve(listener, router).await);
    }
}

type Refused = (StatusCode, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    account: Option<String>,
}

async fn log(State(shared): State<Arc<Shared>>, Query(query): Query<LogQuery>) -> Json<Vec<Entry>> {
    Json(shared.ledger().log.excerpt(query.account.as_deref()).0)
}

async fn violations(State(shared): State<Arc<Shared>>) -> Json<Vec<Violation>> {
    Json(shared.ledger().log.violations())
}

#[derive(Serialize)]
struct AccountView {
    name: String,
    api: super::spec::Api,
    username: Option<String>,
    client_id: Option<String>,
    access_ms: u64,
    refresh_ms: u64,
    rotation: Rotation,
    reuse: Reuse,
    suspended: bool,
    newest_access_token: Option<String>,
}

async fn accounts(State(shared): State<Arc<Shared>>) -> Json<Vec<AccountView>> {
    let now = shared.watch.now();
    let view = |account: &Account| AccountView {
        name: account.spec.name.clone(),
        api: account.spec.api,
        username: account.spec.username.clone(),
        client_id: account.spec.client_id.clone(),
        access_ms: millis(account.spec.behaviour.access_lifetime),
        refresh_ms: millis(account.spec.behaviour.refresh_lifetime),
        rotation: account.spec.behaviour.rotation,
        reuse: account.spec.behaviour.reuse,
        suspended: account.is_suspended(now),
        newest_access_token: account.newest_access().map(|(text, _)| text.to_owned()),
    };
    Json(shared.ledger().accounts.iter().map(view).collect())
}

/// Every key is optional; an unknown one is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    access_ms: Option<u64>,
    refresh_ms: Option<u64>,
    rotation: Option<Rotation>,
    reuse: Option<Reuse>,
    grace_ms: Option<u64>,
    refresh_ends_access: Option<bool>,
    identical_tokens: Option<bool>,
    suspended: Option<bool>,
    secret: Option<String>,
}

async fn change(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Refused> {
    with(&shared, &name, |account| {
        change.apply(&mut account.spec.behaviour);
        if let Some(suspended) = change.suspended {
            account.suspend(suspended);
        }
        if let Some(secret) = change.secret {
            account.change_secret(secret);
        }
    })
}

/// Does something to the account of this name.
fn with(
    shared: &Shared,
    name: &str,
    act: impl FnOnce(&mut Account),
) -> Result<StatusCode, Refused> {
    act(shared.ledger().named(name).ok_or_else(|| unknown(name))?);
    Ok(StatusCode::NO_CONTENT)
}

impl Change {
    fn apply(&self, behaviour: &mut Behaviour) {
        set(
            &mut behaviour.access_lifetime,
            self.access_ms.map(Duration::from_millis),
        );
        set(
            &mut behaviour.refresh_lifetime,
            self.refresh_ms.map(Duration::from_millis),
        );
        set(&mut behaviour.rotation, self.rotation);
        set(&mut behaviour.reuse, self.reuse);
        set(
            &mut behaviour.grace,
            self.grace_ms.map(Duration::from_millis),
        );
        set(&mut behaviour.refresh_ends_access, self.refresh_ends_access);
        set(&mut behaviour.identical_tokens, self.identical_tokens);
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

async fn fail(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Json(rule): Json<Rule>,
) -> Result<StatusCode, Refused> {
    let mut ledger = shared.ledger();
    ledger.named(&name).ok_or_else(|| unknown(&name))?;
    ledger.script.add(Rule {
        account: Some(name),
        ..rule
    });
    Ok(StatusCode::NO_CONTENT)
}

async fn heal(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> StatusCode {
    shared.ledger().script.clear(Some(&name));
    StatusCode::NO_CONTENT
}

async fn end_access(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    with(&shared, &name, Account::end_access)
}

async fn end_refresh(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    with(&shared, &name, Account::end_refresh)
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.ledger().reset();
    StatusCode::NO_CONTENT
}

fn unknown(name: &str) -> Refused {
    (
        StatusCode::NOT_FOUND,
        format!("no account `{name}`; GET /accounts lists them\n"),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
