//! What the tokens of accounts are for.
//!
//! Owns how many lines fit a page, and the answer to whether an API has refused a token. Must never name an account whose token the peer
//! may not have.

use std::sync::Arc;

use tokend_policy::{Peer, Permission};
use tokend_proto::{AccountName, ApiLine, ApisPage, Response, SecretText};

use super::admission::Admitted;
use super::done::Done;
use super::pages::{fit, page};
use crate::broker::registry::{ServedAccount, WhichAccounts};

/// How many accounts a page of `apis` goes through at most.
const APIS_PAGE: usize = 200;

pub(super) fn apis(admitted: &Admitted<'_>, peer: &Peer, after: Option<&AccountName>) -> Done {
    let (page, mut next) = page(admitted, peer, (WhichAccounts::Any, after), APIS_PAGE);
    let may_get = |served: &&Arc<ServedAccount>| {
        let decided = admitted.snapshot.grants(peer, served, Permission::Get);
        decided.is_ok()
    };
    let line = |served: &Arc<ServedAccount>| ApiLine {
        account: served.account.name.clone(),
        urls: (served.account.api_urls().iter())
            .map(ToString::to_string)
            .collect(),
    };
    let mut apis: Vec<_> = page.iter().filter(may_get).map(line).collect();
    let size = |line: &ApiLine| {
        let urls = line.urls.iter().map(|url| 16 + url.len()).sum::<usize>();
        32 + line.account.as_str().len() + urls
    };
    if fit(&mut apis, size) {
        next = apis.last().map(|line| line.account.clone());
    }
    Done::Now(Response::Apis(ApisPage { apis, next }))
}

/// Whether an API's answer with this status and body means that it refused the token.
pub(super) fn refusal(served: &ServedAccount, status: u16, body: &SecretText) -> Done {
    let rejection = served.account.dialect.rejection();
    let is_refusal = rejection.matches(status, body.expose().as_bytes());
    Done::Now(Response::Refusal { is_refusal })
}
