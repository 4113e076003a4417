//! What tokens are for, and whether an API refused one.

use std::fmt::Write as _;

use tokend_proto::{ApiLine, RequestId, SecretText, ServerFrame, encode};

use super::*;

const TWO: &str = r#"
[account.ads]
provider = "ad-verification"
base_url = "https://ads.example.com/base"
username = "u"
allow = [{ user = 20 }]
[account.ads.api]
urls = ["/v1", "https://*.media.example.com"]
[account.seen]
provider = "jwt-api"
base_url = "https://jwt.example.com"
username = "u"
allow = [{ user = 20, may = ["status"] }, { user = 21 }]
"#;

fn apis(bench: &Bench, uid: u32, account: Option<&str>) -> Vec<ApiLine> {
    let account = account.map(|name| name.parse().unwrap());
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let request = Request::Apis {
            account: account.clone(),
            after,
        };
        let response = bench.now(uid, request);
        let id = RequestId(1);
        let frame = ServerFrame { id, response };
        encode(&frame, &mut Vec::new()).expect("it fits a frame");
        let Response::Apis(page) = frame.response else {
            panic!("{frame:?}")
        };
        all.extend(page.apis);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn only_a_peer_that_may_have_the_token_hears_what_it_is_for() {
    let bench = bench(TWO);
    let ads = ApiLine {
        account: "ads".parse().unwrap(),
        urls: vec![
            "https://ads.example.com/base/v1".into(),
            "https://*.media.example.com/".into(),
        ],
    };
    assert_eq!(apis(&bench, 20, None), apis(&bench, 20, Some("ads")));
    assert_eq!(apis(&bench, 20, None), [ads]);
    let seen = apis(&bench, 21, None);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].urls, ["https://jwt.example.com/"]);
    assert!(apis(&bench, 22, None).is_empty());
    let refused = |uid: u32, account: &str| {
        let request = Request::Apis {
            account: Some(account.parse().unwrap()),
            after: None,
        };
        let fault = bench.fault(uid, request);
        assert_eq!(fault.code, FaultCode::NotAllowed, "{account}");
        fault.message.replace(account, "NAME")
    };
    refused(20, "seen");
    // An account of somebody else is answered as one that does not exist.
    assert_eq!(refused(21, "ads"), refused(21, "absent"));
}

#[tokio::test]
async fn long_lists_come_in_pages_that_fit_also_where_few_are_ones_own() {
    let mut text = String::new();
    for n in 0..701 {
        let user = if n == 700 { 21 } else { 20 };
        write!(
            text,
            "[account.a{n:03}]\nprovider = \"jwt-api\"\nbase_url = \"https://a.example.com/{}\"\nusername = \"u\"\n\
             allow = [{{ user = {user} }}, {{ user = 21, may = [\"status\"] }}]\n",
            "p".repeat(1500)
        )
        .unwrap();
    }
    let bench = bench(&text);
    assert_eq!(apis(&bench, 20, None).len(), 700);
    let own = apis(&bench, 21, None);
    assert_eq!((own.len(), own[0].account.as_str()), (1, "a700"));
}

#[tokio::test]
async fn the_dialect_says_whether_an_api_refused_a_token() {
    let bench = bench(TWO);
    let ask = |account: &str, status, body: &str| Request::Refusal {
        account: account.parse().unwrap(),
        status,
        body: SecretText::new(body).unwrap(),
    };
    for (status, body, refused) in [
        (400, r#"{"detail":"Invalid session"}"#, true),
        (400, r#"{"detail":"no such project"}"#, false),
        (200, "Invalid session", false),
        (503, "", false),
    ] {
        let Response::Refusal { is_refusal } = bench.now(20, ask("ads", status, body)) else {
            panic!()
        };
        assert_eq!(is_refusal, refused, "{status} {body}");
    }
    assert_eq!(
        bench.fault(20, ask("seen", 401, "")).code,
        FaultCode::NotAllowed
    );
    assert_eq!(
        bench.fault(22, ask("ads", 401, "")).code,
        FaultCode::NotAllowed
    );
}
