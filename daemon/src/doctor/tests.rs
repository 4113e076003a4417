//! What is looked at for whom; the rest is tested from outside, with providers and files that are there.

use super::*;
use crate::testing::{OWNER, Site, answer, name, peer, requests};
use tokend_process::clock::Clock;

fn site() -> Site {
    let site = Site::new(
        "[account.ads]\nprovider = \"jwt-api\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\npassword = { file = \"pw\" }\nallow = [{ user = 8 }]\n\n\
         [account.crm]\nprovider = \"jwt-api\"\nbase_url = \"http://127.0.0.1:1/other\"\nusername = \"u\"\npassword = { command = [\"/nonexistent\"] }\n",
    );
    site.secret("pw", "correct horse", 0o644);
    site
}

async fn page(uid: u32, account: Option<&str>) -> Response {
    let site = site();
    let (requests, _messages) = requests(&site, &Clock::system(), 8);
    let request = tokend_proto::Request::Diagnose {
        account: account.map(name),
        after: None,
    };
    answer(requests.handle(&peer(uid), request)).await
}

async fn findings(uid: u32) -> Vec<Finding> {
    match page(uid, None).await {
        Response::Diagnosis(page) => page.findings,
        other => panic!("{other:?}"),
    }
}

fn texts(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|it| format!("{} {:?} {}\n", it.topic, it.account, it.message))
        .collect()
}

#[tokio::test]
async fn administrators_see_places_and_all_accounts() {
    let findings = findings(OWNER).await;
    let shown = texts(&findings);
    assert!(shown.contains("has mode 0644"), "{shown}");
    assert!(
        shown.contains("password: a command, which was not run"),
        "{shown}"
    );
    assert!(
        findings.iter().any(|it| it.topic == Topic::Configuration),
        "{shown}"
    );
    let providers = findings.iter().filter(|it| it.topic == Topic::Provider);
    assert_eq!(providers.count(), 2, "{shown}");
    assert!(!shown.contains("correct horse"));
}

#[tokio::test]
async fn others_see_their_accounts_without_places() {
    let findings = findings(8).await;
    let shown = texts(&findings);
    assert!(
        shown.contains("no administrator, with the tokens of 1 account;"),
        "{shown}"
    );
    assert!(shown.contains("password cannot be read\n"), "{shown}");
    for hidden in ["0644", "/pw", "crm", "configuration", "store"] {
        assert!(
            !findings
                .iter()
                .any(|it| it.message.contains(hidden) || it.topic.as_str() == hidden),
            "{hidden}: {shown}"
        );
    }
}

#[tokio::test]
async fn strangers_are_told_that_no_rule_is_for_them() {
    let shown = texts(&findings(9).await);
    assert!(
        shown.contains("no rule allows you anything") && !shown.contains("ads"),
        "{shown}"
    );
    assert!(
        matches!(page(9, Some("ads")).await, Response::Fault(fault) if fault.code == FaultCode::NotAllowed)
    );
}

#[tokio::test]
async fn one_at_a_time() {
    let site = site();
    let (requests, _messages) = requests(&site, &Clock::system(), 8);
    let _turn = requests.diagnosis.turn.acquire().await.unwrap();
    let request = tokend_proto::Request::Diagnose {
        account: None,
        after: None,
    };
    let busy = answer(requests.handle(&peer(OWNER), request)).await;
    assert!(
        matches!(&busy, Response::Fault(fault) if fault.code == FaultCode::TooBusy),
        "{busy:?}"
    );
}

#[test]
fn sentences_are_bounded() {
    let mut finding = ok(Topic::Provider, "ü".repeat(5000));
    shorten(&mut finding);
    assert_eq!(finding.message.chars().count(), LONGEST + 1);
}

#[test]
fn what_is_told_again_says_how_old_it_is() {
    let finding = |outcome: Outcome, age| provider("https://a.example", &Probed { outcome, age });
    let age = Some(Duration::from_millis(12_900));
    for (finding, message) in [
        (finding(Ok(()), None), "https://a.example can be reached"),
        (
            finding(Ok(()), age),
            "https://a.example could be reached 12 s ago",
        ),
        (
            finding(Err("connection refused".into()), None),
            "https://a.example cannot be reached: connection refused",
        ),
        (
            finding(Err("connection refused".into()), age),
            "https://a.example could not be reached 12 s ago: connection refused",
        ),
    ] {
        assert_eq!(finding.message, message);
    }
}

#[tokio::test]
async fn the_hosts_that_are_asked_are_looked_at_and_not_the_one_of_base_url() {
    let site = Site::new(
        "dialect_dir = \"dialects\"\n[account.ads]\nprovider = \"elsewhere\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\nallow = [{ user = 8 }]\n",
    );
    site.dialect(
        "elsewhere",
        "extends = \"oauth2\"\nsummary = \"two hosts\"\n[login]\npath = \"https://127.0.0.1:2/token\"\n[refresh]\npath = \"https://localhost:3/token\"\n",
    );
    let (requests, _messages) = requests(&site, &Clock::system(), 8);
    let request = tokend_proto::Request::Diagnose {
        account: None,
        after: None,
    };
    let Response::Diagnosis(page) = answer(requests.handle(&peer(8), request)).await else {
        panic!("no diagnosis");
    };
    let providers = page
        .findings
        .iter()
        .filter(|it| it.topic == Topic::Provider);
    let messages: Vec<&str> = providers.map(|it| &*it.message).collect();
    assert!(
        matches!(messages[..], [one, two] if one.starts_with("https://127.0.0.1:2 cannot be reached") && two.starts_with("https://localhost:3 cannot be reached")),
        "{messages:?}"
    );
}
