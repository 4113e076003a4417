//! What is said of a credential that was refused: which one, and in whose words.

use super::*;

#[test]
fn a_refused_client_is_told_with_the_clients_secret_and_never_with_a_refresh_token() {
    let client = "[account.ads]\nprovider = \"oauth2\"\nbase_url = \"https://ads.example.com\"\nclient_id = \"c\"\n";
    let grant = "options = { grant = \"client_credentials\" }\n";
    let secret = "client_secret = { file = \"cs\" }\n";
    let refused = |site: &str, said: &str| {
        let (_, text) = worded(site, login(Missing::CredentialRejected), Some(said));
        assert!(!text.contains("refresh token"), "{text}");
        text
    };
    let of_secret =
        "correct the client_secret that [account.ads] refers to, then run `tokenctl reload`";
    let with_password = format!("{WITH_FILE}{secret}");
    for (site, said) in [
        (
            format!("{client}{secret}{grant}"),
            "status 401: invalid_client",
        ),
        // No code is needed where there is one secret only.
        (format!("{client}{secret}{grant}"), "status 401"),
        (
            with_password.clone(),
            "status 200: incorrect_client_credentials",
        ),
    ] {
        let text = refused(&site, said);
        assert!(text.contains(of_secret), "{said}: {text}");
    }
    let text = refused(&with_password, "status 400: invalid_grant");
    assert!(
        text.contains("correct the password that [account.ads] refers to"),
        "{text}"
    );
    for site in [format!("{client}{grant}"), WITH_FILE.to_owned()] {
        let text = refused(&site, "status 401: invalid_client");
        assert!(
            text.contains("check the client_id of [account.ads], add the client_secret"),
            "{text}"
        );
    }
}

#[test]
fn a_login_that_was_refused_is_told_in_its_own_words_or_in_none() {
    let account = Site::new(&format!("{WITH_FILE}client_secret = {{ file = \"cs\" }}\n")).account();
    let (clock, _hands) = FakeClock::start(1_790_000_000_000, 0, "a");
    let worded = |of_login: Option<Option<&str>>, blocked, why| {
        let notes = Notes {
            message: Some("status 400: refresh token expired".into()),
            refused: of_login.map(|message| {
                Box::new(tokend_record::RefusedLogin {
                    fingerprint: "login-1".into(),
                    message: message.map(Into::into),
                })
            }),
            ..Notes::default()
        };
        let fault_text = FaultText {
            account: &account,
            notes: &notes,
            clock: &clock,
            withheld: None,
            blocked,
        };
        let fault = fault_text.tell(why);
        (fault.message, fault.advice.unwrap())
    };
    let refused = Why::LoginRequired(Missing::CredentialRejected);
    let client = Some(Some("status 401: invalid_client"));
    let (message, advice) = worded(client, false, refused);
    assert!(
        message.ends_with("(status 401: invalid_client)"),
        "{message}"
    );
    assert!(advice.contains("client_secret"), "{advice}");
    for why in [refused, Why::Misconfigured] {
        for of_login in [None, Some(None)] {
            let (message, _) = worded(of_login, false, why);
            assert!(!message.contains('('), "{message}");
        }
        let (message, _) = worded(client, false, why);
        assert!(message.contains("invalid_client"), "{message}");
        let (message, _) = worded(client, true, why);
        assert!(message.contains("refresh token expired"), "{message}");
    }
}

#[test]
fn an_entered_client_secret_that_is_refused_is_asked_for_by_its_name() {
    let site = "[account.ads]\nprovider = \"client-credentials\"\nbase_url = \"https://ads.example.com\"\nclient_id = \"c\"\n";
    for said in ["status 401: invalid_client", "status 401"] {
        let (_, text) = worded(site, login(Missing::CredentialRejected), Some(said));
        assert!(
            text.contains("`tokenctl login ads` and enter its client secret"),
            "{text}"
        );
        assert!(!text.contains("refresh token"), "{text}");
    }
    let (_, text) = worded(site, login(Missing::NoCredential), None);
    assert!(text.contains("enter its client secret"), "{text}");
}

#[test]
fn the_secret_that_a_rule_names_is_the_one_to_correct() {
    let both = format!("{WITH_FILE}client_secret = {{ file = \"cs\" }}\n");
    for (site, said, advice) in [
        (
            both.as_str(),
            "status 401; this is about the client_secret",
            "correct the client_secret that [account.ads] refers to",
        ),
        (
            both.as_str(),
            "status 401 (invalid_client); this is about the password",
            "correct the password that [account.ads] refers to",
        ),
        (
            ACCOUNT,
            "status 401: no; this is about the password",
            "run `tokenctl login ads` and enter its password",
        ),
        // Not a secret of this account.
        (
            both.as_str(),
            "status 401; this is about the api_key",
            "correct the password that [account.ads] refers to",
        ),
    ] {
        let (_, text) = worded(site, login(Missing::CredentialRejected), Some(said));
        assert!(text.contains(advice), "{said}: {text}");
    }
}
