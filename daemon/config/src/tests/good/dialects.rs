//! Dialects of users, and what an account needs for its dialect.

use super::*;

#[test]
fn what_is_asked_goes_by_the_whole_urls_of_a_dialect() {
    let with = |dialect: &str, account: &str| {
        let text = format!(
            "dialect_dir = \"dialects\"\n[account.a]\nprovider = \"my-api\"\nusername = \"u\"\nclient_id = \"c\"\n{account}\n"
        );
        Site::new(&text).with(
            "dialects/my-api.toml",
            &format!("extends = \"oauth2\"\nsummary = \"mine\"\n{dialect}"),
        )
    };
    let here = "base_url = \"https://here.example.com:8443/x\"";
    let origins =
        |dialect: &str, account: &str| self::account(&with(dialect, account).good(), "a").origins();
    let own = "https://here.example.com:8443";
    assert_eq!(origins("", here), [own]);
    let refresh = "[refresh]\npath = \"https://There.example.com:443/token\"\n";
    let there = "https://there.example.com";
    assert_eq!(origins(refresh, here), [own, there]);
    let own_path = format!("{here}\nrefresh_path = \"/mine\"");
    assert_eq!(origins(refresh, &own_path), [own]);
    let both = format!("[login]\npath = \"https://login.example.com/a\"\n{refresh}");
    assert_eq!(origins(&both, here), ["https://login.example.com", there]);

    // Nothing goes below a base URL, so none is demanded.
    let site = with(&both, "");
    let account = account(&site.good(), "a");
    assert_eq!(account.endpoint.base_url(), "https://login.example.com");
    assert_eq!(account.origins(), ["https://login.example.com", there]);
    for (dialect, account) in [(refresh, ""), (&*both, "refresh_path = \"/mine\"")] {
        let error = with(dialect, account)
            .load()
            .expect_err("it is used")
            .to_string();
        assert!(error.contains("`base_url` is missing"), "{error}");
    }
}

#[test]
fn an_issuer_is_what_the_account_says_and_else_its_base_url() {
    let issuer = |dialect: &str, line: &str| {
        let text = format!(
            "dialect_dir = \"dialects\"\n[account.a]\nprovider = \"mine\"\nbase_url = \"https://a.example\"\nusername = \"u\"\nclient_id = \"c\"\n{line}\n"
        );
        let own = format!("extends = \"oauth2\"\nsummary = \"mine\"\n{dialect}");
        let site = Site::new(&text).with("dialects/mine.toml", &own);
        account(&site.good(), "a").issuer().to_owned()
    };
    assert_eq!(issuer("", ""), "https://a.example");
    let own = "issuer = \"https://id.example/\"";
    assert_eq!(issuer("", own), "https://id.example/");
    // The name belongs to a dialect that had it first.
    let field = "[fields.issuer]\nsecret = false\n[login.body.form]\niss = \"{issuer}\"\n";
    assert_eq!(issuer(field, "issuer = \"acme\""), "https://a.example");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn options_that_a_request_needs_are_demanded_and_no_others() {
    const PASSWORD: &str = "password = { file = \"/p\" }";
    let report = |dialect: &str, account: &str| {
        let text = format!(
            "dialect_dir = \"dialects\"\n[account.a]\nprovider = \"my-api\"\nbase_url = \"https://a.example\"\nusername = \"u\"\nclient_id = \"c\"\n{account}\n"
        );
        let own = format!(
            "extends = \"oauth2\"\nsummary = \"mine\"\nwithout = [\"refresh\"]\n[options.tenant]\n[options.base]\ntype = \"path\"\n[options.kind]\nchoices = [\"one\", \"two\"]\n{dialect}"
        );
        let site = Site::new(&text).with("dialects/my-api.toml", &own);
        match site.load() {
            Ok(_) => String::new(),
            Err(error) => {
                assert!(!error.diagnostics().kept().is_empty(), "{error}");
                let all = error.diagnostics().kept().iter();
                let all: Vec<String> = all.map(|it| site.anonymous(&it.to_string())).collect();
                all.join("\n")
            }
        }
    };
    let header = "[login.headers]\nX-Tenant = \"{tenant}\"\n";
    assert_eq!(
        report(header, PASSWORD),
        "DIR/tokend.toml:2:10: the login of dialect `my-api` needs option `tenant`; add `tenant = \"...\"` to `options`"
    );
    let refresh = "[refresh]\npath = \"/r\"\nbody.form = { t = \"{refresh_token}\" }\n";
    let of_refresh = format!("{refresh}headers.X-Tenant = \"{{tenant}}\"\n");
    let demands = |dialect: &str, account: &str, what: &[&str]| {
        let report = report(dialect, account);
        assert_eq!(
            report.is_empty(),
            what.is_empty(),
            "{dialect}{account}: {report}"
        );
        assert!(what.iter().all(|what| report.contains(what)), "{report}");
    };
    // Set, by default, optional, or not of this account's requests.
    demands(
        header,
        &format!("{PASSWORD}\noptions = {{ tenant = \"t\" }}"),
        &[],
    );
    demands(
        &format!("default = \"two\"\n{header}").replace("tenant}", "kind}"),
        PASSWORD,
        &[],
    );
    demands(&header.replace("tenant}", "tenant?}"), PASSWORD, &[]);
    demands(
        &header.replace("{tenant}", "{scope?}{tenant}"),
        PASSWORD,
        &[],
    );
    let scoped = format!("{PASSWORD}\nscope = \"s\"");
    demands(
        &header.replace("{tenant}", "{scope?}{tenant}"),
        &scoped,
        &["option `tenant`"],
    );
    let case = "[[login.cases]]\nwhen = { kind = \"two\" }\nheaders = { X = \"{tenant}\" }\n";
    demands(case, PASSWORD, &[]);
    let two = format!("{PASSWORD}\noptions = {{ kind = \"two\" }}");
    demands(case, &two, &["option `tenant`"]);
    let path = "[login]\npath = \"{base}/l\"\n";
    demands(path, PASSWORD, &["option `base`"]);
    demands(path, &format!("{PASSWORD}\nlogin_path = \"/own\""), &[]);
    let rule = "[[login.rules]]\ncode = \"tenant\"\nclass = \"busy\"\n";
    demands(rule, PASSWORD, &[]);
    // A refresh's count too, and all of them are reported.
    demands(
        &of_refresh,
        PASSWORD,
        &["the refresh of dialect `my-api` needs option `tenant`"],
    );
    let both = format!("{header}[login.query]\nk = \"{{kind}}\"\n");
    demands(
        &both,
        PASSWORD,
        &["option `tenant`", "option `kind`", "add `kind = \"one\"`"],
    );
    // Without a password an account may live by a refresh token that is entered, where there is a refresh.
    demands(&format!("{refresh}{header}"), "", &[]);
    demands(
        header,
        "",
        &["the login of dialect `my-api` needs option `tenant`"],
    );
}

#[test]
fn a_users_own_dialect_can_be_named() {
    let site = Site::new("dialect_dir = \"dialects\"\n[account.a]\nprovider = \"my-api\"\nbase_url = \"https://a.example\"\nusername = \"u\"\nclient_id = \"c\"\n")
        .with("dialects/my-api.toml", "extends = \"oauth2\"\nsummary = \"mine\"\n");
    assert_eq!(account(&site.good(), "a").dialect.name(), "my-api");
}
