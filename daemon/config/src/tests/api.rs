//! `[account.NAME.api]`: which addresses a token is for.

use super::*;

/// The addresses of the account, and how its API wants the token.
fn api(dialect: &str, base_url: &str, own: &str) -> (Vec<String>, Option<String>) {
    let text = format!(
        "[account.ads]\nprovider = \"{dialect}\"\nbase_url = \"{base_url}\"\nusername = \"u\"\n{own}\n"
    );
    let config = Site::new(&text).good();
    let account = account(&config, "ads");
    let urls = account.api_urls().iter().map(ToString::to_string).collect();
    (urls, account.api().present().map(str::to_owned))
}

#[test]
fn an_account_stands_before_its_dialect_in_each_setting() {
    let base = "https://example.com/base";
    let urls = |own: &str| api("ad-verification", base, own);
    assert_eq!(
        urls(""),
        (vec!["https://example.com/base/".to_owned()], None)
    );
    assert_eq!(
        urls("[account.ads.api]\nurls = [\"/v1\", \"https://*.example.org\"]"),
        (
            vec![
                "https://example.com/base/v1".to_owned(),
                "https://*.example.org/".to_owned()
            ],
            None
        )
    );
    assert_eq!(
        urls("[account.ads.api]\npresent = { header = \"X-Key\" }"),
        (
            vec!["https://example.com/base/".to_owned()],
            Some("header:X-Key".to_owned())
        )
    );
    assert_eq!(urls("[account.ads.api]\nurls = []").0, Vec::<String>::new());
}

#[test]
fn nobody_said_what_the_token_is_for() {
    assert_eq!(
        api("oauth2", "https://example.com", "client_id = \"c\"").0,
        Vec::<String>::new()
    );
}

#[test]
fn a_base_url_that_is_no_beginning_of_an_address_is_told_only_where_it_matters() {
    let text = |own: &str| {
        format!(
            "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"https://example.com/%41\"\nusername = \"u\"\nclient_id = \"c\"\n{own}"
        )
    };
    assert_eq!(Site::new(&text("")).good().accounts.len(), 1);
    assert_eq!(
        Site::new(&text("api = { urls = \"https://example.com/A\" }"))
            .good()
            .accounts
            .len(),
        1
    );
    let site = Site::new(&text("api = { urls = \"/v1\" }"));
    let shown = site.shown(&site.load().unwrap_err());
    assert!(shown.contains("write `urls` of `[api]` in full"), "{shown}");
}
