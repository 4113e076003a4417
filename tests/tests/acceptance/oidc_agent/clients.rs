//! What clients get.

use super::*;

#[test]
fn a_client_gets_the_token_the_next_one_and_after_a_refusal_a_new_one() {
    for client in clients() {
        let agent = Agent::of_it();
        let _daemon = agent.stage.site.start().unwrap();
        let expired = agent.stage.expired(Api::JwtApi);
        let [first, issuer, expires] = agent.got(client, wish("it"));
        assert_ne!(first, expired);
        assert_eq!(first, agent.newest());
        assert_eq!(issuer, agent.stage.sim.base_url(Api::JwtApi));
        let printed = agent
            .stage
            .site
            .tokenctl(&["get", "it", "--format", "json"]);
        let printed = printed.unwrap().json().unwrap();
        let expires: i64 = expires.parse().unwrap();
        let at = jiff::Timestamp::from_second(expires).unwrap();
        assert_eq!(printed["expires_at"], at.to_string());
        // The same as long as it is good.
        assert_eq!(agent.got(client, wish("it"))[0], first);
        assert_eq!(agent.stage.requests(), 2);

        // The protocol has no word for a refusal: somebody has to report it.
        agent.stage.sim.end_access("it");
        agent.stage.reject("it", &first).line().unwrap();
        let [second, ..] = agent.got(client, wish("it"));
        assert_ne!(second, first);
        assert!(agent.stage.accepted(Api::JwtApi, &second));
    }
}

#[test]
fn a_token_lives_at_least_as_long_as_it_is_asked_for() {
    for client in clients() {
        let agent = Agent::of_it();
        let _daemon = agent.stage.site.start().unwrap();
        let life = |seconds| {
            let life = Duration::from_secs(seconds);
            agent.stage.sim.change("it", |it| it.access_lifetime = life);
        };
        life(60);
        let [first, ..] = agent.got(client, wish("it"));
        let for_time = |seconds| Wish {
            seconds: Some(seconds),
            ..wish("it")
        };
        assert_eq!(agent.got(client, for_time(20))[0], first);
        let said = agent.failed(client, for_time(7200));
        assert!(said.contains("validity"), "{said}");
    }
}

#[test]
fn a_new_token_is_made_on_demand_within_the_pace_and_for_whom_may_refresh() {
    let new = Wish {
        seconds: Some(-1),
        ..wish("it")
    };
    for client in clients() {
        let pace = "pacing = { attempts = { burst = 2, every = \"1h\" }, logins = { burst = 2, every = \"1h\" } }";
        let allow = format!("allow = [{{ user = {} }}]", uid());
        let may = "may = [\"get\", \"status\", \"reject\", \"refresh\"]";
        let allow_all = allow.replace(" }]", &format!(", {may} }}]"));
        let lines = |allow: &str| format!("{pace}\n{ON_DEMAND}\n{allow}");
        let accounts = || vec![account("it", Api::JwtApi)];
        let agent = Agent::new(accounts(), "", &lines(&allow_all));
        let daemon = agent.stage.site.start().unwrap();
        let [first, ..] = agent.got(client, wish("it"));
        let [second, ..] = agent.got(client, new);
        assert_ne!(first, second);
        assert_eq!(second, agent.newest());
        let said = agent.failed(client, new);
        assert!(said.contains("rate limit"), "{said}");
        assert!(said.contains("try again in"), "{said}");
        assert_eq!(agent.stage.requests(), 2);
        assert_eq!(agent.got(client, wish("it"))[0], second);
        daemon.kill().unwrap();

        let agent = Agent::new(accounts(), "", &lines(&allow));
        agent.configure(NO_ADMIN, |it| it.everywhere(&lines(&allow)));
        let _daemon = agent.stage.site.start().unwrap();
        agent.got(client, wish("it"));
        let said = agent.failed(client, new);
        assert!(said.contains("operation forbidden"), "{said}");
        assert!(said.contains("refresh"), "{said}");
        assert_eq!(agent.stage.requests(), 1);
    }
}

#[test]
fn by_issuer_a_client_gets_the_token_of_the_one_account_that_it_may_use() {
    let one = "https://one.example/realms/it";
    let shared = "https://shared.example";
    let stranger = "allow = [{ user = 4242 }]";
    let accounts = || {
        let names = ["one", "two", "three", "theirs", "hidden"];
        names.map(|name| account(name, Api::JwtApi)).to_vec()
    };
    for client in clients() {
        let agent = Agent::new(accounts(), "", FAST);
        let base = agent.stage.sim.base_url(Api::JwtApi);
        agent.configure("", |_| {
            let mine = |issuer: &str| format!("{FAST}issuer = \"{issuer}\"");
            let lines = [
                mine(one),
                mine(shared),
                mine(&format!("{shared}/")),
                format!("{}\n{stranger}", mine(one)),
                format!("{}\n{stranger}", mine("https://hidden.example")),
            ];
            let all = accounts().into_iter().zip(lines);
            all.fold(Configuration::default(), |made, (account, lines)| {
                made.account(account, &base, &lines)
            })
        });
        let _daemon = agent.stage.site.start().unwrap();
        // They are accounts of one user, so only the daemon can tell whose token it is.
        let held = |name: &str| agent.stage.site.get(name).unwrap();
        for issuer in [one.to_owned(), format!("{one}/")] {
            let [token, issued_by, _] = agent.got(client, wish(&issuer));
            assert_eq!(token, held("one"));
            assert_eq!(issued_by, one);
        }
        let [two, issued_by, _] = agent.got(client, wish("two"));
        assert_eq!((two, &*issued_by), (held("two"), shared));
        assert_ne!(held("one"), held("two"));
        let said = agent.failed(client, wish(shared));
        assert!(said.contains("several accounts"), "{said}");
        assert!(said.contains("three, two"), "{said}");
        // Who may use none of them is told the same as where there is none.
        let unknown = |issuer: &str| {
            let said = agent.failed(client, wish(issuer));
            assert!(said.contains("operation forbidden"), "{said}");
            said.replace(issuer, "ISSUER")
        };
        let no = unknown("https://nobody.example");
        assert_eq!(no, unknown("https://hidden.example"));
        assert!(no.contains("there is no account with the issuer"), "{no}");
    }
}

#[test]
fn lists_have_the_accounts_whose_tokens_the_caller_may_have_and_no_others() {
    let agent = Agent::new(vec![account("ads", Api::JwtApi)], "", "");
    let base = agent.stage.sim.base_url(Api::JwtApi);
    agent.configure("", |it| {
        let me = uid();
        it.everywhere("issuer = \"https://id.example/\"")
            .account(account("shop", Api::JwtApi), &base, "")
            .account(
                account("seen", Api::JwtApi),
                &base,
                &format!("allow = [{{ user = {me}, may = [\"status\"] }}]"),
            )
            .account(
                account("theirs", Api::JwtApi),
                &base,
                "allow = [{ user = 4242 }]",
            )
    });
    let _daemon = agent.stage.site.start().unwrap();
    let names = json!(["ads", "shop"]);
    let answer = agent.ask(&json!({"request": "loaded_accounts"}));
    assert_eq!(answer, json!({"status": "success", "info": names}));
    let answer = agent.ask(&json!({"request": "account_info"}));
    let by_issuer = json!({
        "https://id.example/": {"pubclient": false, "accounts": {"ads": true}},
        base: {"pubclient": false, "accounts": {"shop": true}},
    });
    assert_eq!(answer, json!({"status": "success", "info": by_issuer}));
    let answer = agent.ask(&json!({"request": "status_json"}));
    assert_eq!(answer["info"]["loaded_accounts"], names);
    let version = answer["info"]["version"].as_str().unwrap();
    assert!(version.starts_with("tokend "), "{answer}");
    assert_eq!(
        agent.ask(&json!({"request": "check"})),
        json!({"status": "success"})
    );
    assert_eq!(
        agent.ask(&json!({"request": "status"}))["info"],
        json!(version)
    );
    assert_eq!(agent.stage.sim.newest_access("ads"), None);
    if carried_out("the accounts of liboidcagent", python().map(drop)) {
        let script = "import liboidcagent.liboidcagent as agent; print(sorted(agent.get_configured_accounts()))";
        let output = Command::new(python().unwrap())
            .args(["-c", script])
            .env("OIDC_SOCK", agent.socket())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "['ads', 'shop']\n", "{output:?}");
    }
}

#[test]
fn what_was_handed_out_is_recorded_with_who_got_it_and_by_which_outlet() {
    let agent = Agent::of_it();
    let _daemon = agent.stage.site.start().unwrap();
    let answer = agent.ask(&token_of("it"));
    assert_eq!(answer["access_token"], agent.newest());
    let release = agent.record("audit.jsonl", |it| it["event"] == "release");
    assert_eq!(release["outlet"], "oidc-agent", "{release}");
    assert_eq!(release["account"], "it", "{release}");
    assert_eq!(release["uid"], uid(), "{release}");
    assert!(!agent.stage.site.log().unwrap().contains(&agent.newest()));
}

pub(super) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
