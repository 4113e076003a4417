//! `tokenctl request` at simulated APIs: the built-in dialects say what each one's token is for, and what its refusals look like.

use tokend_harness::Said;
use tokend_provider_simulator::spec::Api;

use crate::stage::Stage;

fn request(stage: &Stage, url: &str, words: &[&str]) -> Said {
    let words = [&["request", "GET", url], words].concat();
    stage.site.tokenctl(&words).unwrap()
}

#[test]
fn each_builtin_dialect_says_what_its_token_is_for_and_what_a_refusal_is() {
    for api in [
        Api::AdVerification,
        Api::JwtApi,
        Api::ClientCredentials,
        Api::FirebaseAccounts,
    ] {
        let stage = Stage::on_demand(api);
        let _daemon = stage.site.start().unwrap();
        let url = format!("{}{}", stage.sim.base_url(api), api.resource());
        let first = request(&stage, &url, &[]);
        assert_eq!(
            (first.code, first.err.as_str()),
            (Some(0), ""),
            "{api}: {first:?}"
        );
        assert_eq!(stage.requests(), 1, "{api}");
        // The provider ends the token before its time: one more token is obtained, and the answer is the same.
        stage.sim.end_access("it");
        let second = request(&stage, &url, &[]);
        assert_eq!(
            (second.code, &second.out),
            (Some(0), &first.out),
            "{api}: {second:?}"
        );
        assert!(second.err.contains("refused the token of it"), "{second:?}");
        assert_eq!(stage.requests(), 2, "{api}");
        let third = request(&stage, &url, &["--account", "it"]);
        assert_eq!(
            (third.code, third.err.as_str()),
            (Some(0), ""),
            "{api}: {third:?}"
        );
        // Another host gets nothing, and nobody is asked for a token.
        let other = request(&stage, "https://tokend.invalid/", &[]);
        assert_eq!(other.code, Some(78), "{api}: {other:?}");
        assert!(other.err.contains("it is for "), "{other:?}");
        assert_eq!(stage.requests(), 2, "{api}");
        assert_eq!(stage.sim.violations(), [], "{api}");
    }
}

#[test]
fn a_refused_token_without_a_successor_ends_with_79() {
    let api = Api::JwtApi;
    let stage = Stage::on_demand(api);
    let _daemon = stage.site.start().unwrap();
    let url = format!("{}{}", stage.sim.base_url(api), api.resource());
    assert_eq!(request(&stage, &url, &[]).code, Some(0));
    stage.sim.end_access("it");
    stage.sim.end_refresh("it");
    stage.sim.change_secret("it", "another password");
    let ended = request(&stage, &url, &[]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(79), ""),
        "{ended:?}"
    );
    assert!(
        ended.err.contains("refuses the credential of account it"),
        "{ended:?}"
    );
}
