//! Who reports of a file with a token, and who sees what is reported.

use tokend_proto::SinkLine;

use super::*;

const TWO: &str = r#"
admin = [{ user = 7 }]
[account.ads]
provider = "ad-verification"
base_url = "https://ads.example.com"
username = "u"
allow = [{ user = 20 }, { user = 21, may = ["status"] }, { user = 22, may = ["get"] }]
[account.bids]
provider = "jwt-api"
base_url = "https://jwt.example.com"
username = "u"
allow = [{ user = 30 }]
"#;

fn report(account: &str) -> Request {
    Request::Report {
        account: name(account),
        sink: "feed".to_owned(),
        instance: 1,
        path: "/run/feed/token".to_owned(),
        problem: Some("no room".to_owned()),
    }
}

fn asked(account: Option<&str>) -> Request {
    Request::Sinks {
        account: account.map(name),
        after: None,
    }
}

fn sinks(bench: &Bench, uid: u32, account: Option<&str>) -> Vec<SinkLine> {
    match bench.now(uid, asked(account)) {
        Response::Sinks(page) => page.sinks,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_report_of_a_sink_is_seen_by_those_who_may_see_the_status_and_nobody_else() {
    let bench = bench(TWO);
    for uid in [21, 30, 7] {
        let fault = bench.fault(uid, report("ads"));
        assert_eq!(fault.code, FaultCode::NotAllowed, "{uid} reports");
    }
    let Reply::Pending(_stands) = bench.requests.handle(&peer(20), report("ads")) else {
        panic!("it stands while its sink does");
    };
    for uid in [20, 21, 7] {
        for account in [None, Some("ads")] {
            let seen = sinks(&bench, uid, account);
            assert_eq!(seen.len(), 1, "{uid}");
            assert_eq!((seen[0].uid, &*seen[0].path), (20, "/run/feed/token"));
        }
    }
    for uid in [22, 30, 40, 0] {
        assert!(sinks(&bench, uid, None).is_empty(), "{uid}");
        let other = bench.fault(uid, asked(Some("ads")));
        assert_eq!(other.code, FaultCode::NotAllowed, "{uid}");
        if uid != 22 {
            // Not even that there is such an account.
            let unknown = bench.fault(uid, asked(Some("adz")));
            assert_eq!(other.message.replace("ads", "adz"), unknown.message);
        }
    }
}
