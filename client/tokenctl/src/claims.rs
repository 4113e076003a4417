//! Which accounts have a token for an address.
//!
//! Owns the comparison of their claims. An address that only a newer release can read claims nothing.

use tokend_client::{AccountName, ApiLine};
use tokend_notation::{ApiUrl, Target};

/// The accounts whose addresses cover one of the targets best; several if their claims are equally good.
pub(crate) fn best<'a>(apis: &'a [ApiLine], targets: &[Target<'_>]) -> Vec<&'a AccountName> {
    let claims: Vec<_> = apis
        .iter()
        .filter_map(|line| {
            let urls = line.urls.iter().filter_map(|url| ApiUrl::parse(url).ok());
            let covering = urls.filter(|url| targets.iter().any(|target| url.covers(target)));
            Some((covering.map(|url| url.rank()).max()?, &line.account))
        })
        .collect();
    let best = claims.iter().map(|(rank, _)| *rank).max();
    let first = claims.iter().filter(|(rank, _)| Some(*rank) == best);
    first.map(|(_, account)| *account).collect()
}
