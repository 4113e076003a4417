//! Who is woken by what, and what stays when nobody subscribes.

use futures_util::FutureExt as _;

use super::*;
use crate::testing::{Site, registry, soon, token};

const ADS: AccountKey = AccountKey(1);
const JWT: AccountKey = AccountKey(2);

fn is_woken(subscription: &mut Subscription) -> bool {
    subscription.woken().now_or_never().is_some()
}

#[test]
fn a_publication_wakes_the_subscribers_of_its_account_and_no_others() {
    let (publications, cell) = (Arc::<Publications>::default(), TokenCell::default());
    let mut ads = publications.subscribe(ADS);
    let mut jwt = publications.subscribe(JWT);
    assert!(!is_woken(&mut ads), "nothing happened yet");
    publications.publish(ADS, &cell, token("T", 1, Timestamp::ZERO));
    assert!(is_woken(&mut ads) && !is_woken(&mut ads));
    assert!(!is_woken(&mut jwt));
    let retired = publications.retire(ADS, &cell).unwrap();
    assert_eq!(retired.held.grant.0, 1);
    assert!(is_woken(&mut ads) && cell.token().is_none());
}

#[test]
fn a_subscriber_that_is_slow_is_woken_once_and_sees_the_newest_token() {
    let (publications, cell) = (Arc::<Publications>::default(), TokenCell::default());
    let mut slow = publications.subscribe(ADS);
    for grant in 1..=1_000 {
        publications.publish(ADS, &cell, token("T", grant, Timestamp::ZERO));
    }
    assert!(is_woken(&mut slow) && !is_woken(&mut slow));
    let newest = cell.token();
    assert_eq!(newest.as_ref().unwrap().held.grant.0, 1_000);
}

#[test]
fn nothing_is_kept_for_an_account_whose_subscribers_have_gone() {
    let (publications, cell) = (Arc::<Publications>::default(), TokenCell::default());
    let all: Vec<_> = (0..10_000).map(|_| publications.subscribe(ADS)).collect();
    let other = publications.subscribe(JWT);
    assert_eq!(publications.topics().len(), 2);
    drop((all, other));
    assert_eq!(publications.topics().len(), 0);
    publications.publish(ADS, &cell, token("T", 1, Timestamp::ZERO));
    assert_eq!(publications.topics().len(), 0);
}

#[test]
fn a_stop_wakes_everybody() {
    let publications = Arc::<Publications>::default();
    let (mut ads, mut jwt) = (publications.subscribe(ADS), publications.subscribe(JWT));
    assert!(!publications.is_draining());
    publications.drain();
    assert!(is_woken(&mut ads) && is_woken(&mut jwt) && publications.is_draining());
}

#[tokio::test]
async fn another_configuration_wakes_everybody_once_it_is_in_force() {
    let site = Site::new("");
    let registry = registry(&site.config());
    let before = registry.snapshot().number();
    let mut ads = registry.publications().subscribe(ADS);
    let waiting = soon(async {
        ads.woken().await;
        registry.snapshot().number()
    });
    let next = Arc::clone(&crate::testing::registry(&site.config()).snapshot());
    let (seen, ()) = tokio::join!(waiting, async { registry.replace(next) });
    assert_ne!(seen, before);
}
