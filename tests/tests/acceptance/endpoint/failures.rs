//! What is refused, and in which words.

use super::*;

#[test]
fn every_failure_has_its_status_and_its_words_and_never_a_token() {
    let (stage, daemon) = stage();
    for kind in kinds(&stage) {
        let endpoint = start(&stage, &kind);
        let (address, head) = endpoint.served(kind.0);
        stage
            .sim
            .fail(Rule::once("it", Fault::before(FaultKind::Reset)).forever());
        let away = answer(&address, &head);
        assert_eq!(status(&away), "503", "{away}");
        assert!(
            away.contains("Retry-After: ") && away.contains("provider"),
            "{away}"
        );
        stage.sim.heal();
        let garbage = answer(&address, "\u{1}\u{2}");
        assert_eq!(status(&garbage), "400", "{garbage}");
        let large = answer(&address, &format!("{head}\r\nA: {}", "a".repeat(20_000)));
        assert_eq!(status(&large), "431", "{large}");
        let posted = answer(&address, &head.replace("GET ", "POST "));
        assert_eq!(status(&posted), "405", "{posted}");
    }
    let kinds = kinds(&stage);
    let endpoints: Vec<Endpoint> = kinds.iter().map(|kind| start(&stage, kind)).collect();
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    let section = "[account.\"it\"]\n";
    assert!(text.contains(section), "{text}");
    let taken = format!("{section}allow = [{{ user = 4000 }}]\n");
    fs::write(&path, text.replace(section, &taken)).unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    for (endpoint, kind) in endpoints.iter().zip(&kinds) {
        let (address, head) = endpoint.served(kind.0);
        let denied = answer(&address, &head);
        assert_eq!(status(&denied), "403", "{denied}");
    }
    daemon.terminate().unwrap();
    for (endpoint, kind) in endpoints.iter().zip(&kinds) {
        let (address, head) = endpoint.served(kind.0);
        let away = answer(&address, &head);
        assert_eq!(status(&away), "503", "{away}");
    }
}

#[test]
fn an_account_that_is_not_there_or_is_not_for_a_bearer_is_refused() {
    let (stage, _daemon) = stage();
    let said = stage
        .site
        .tokenctl(&["exec", "--as", "gce", "nobodys", "--", "true"])
        .unwrap();
    assert_eq!(said.code, Some(78), "{said:?}");
    let path = stage.site.configuration();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}\n[account.it.api]\npresent = {{ header = \"X-Key\" }}\n"),
    )
    .unwrap();
    let said = stage.site.tokenctl(&["reload"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    for kind in ["azure", "gce"] {
        let words = ["exec", "--as", kind, "it", "--", "true"];
        let said = stage.site.tokenctl(&words).unwrap();
        assert!(
            said.code == Some(78) && said.err.contains("bearer"),
            "{said:?}"
        );
        let endpoint = Endpoint::start(&stage, kind, &["--for", RESOURCE]);
        let (address, head) = endpoint.served(kind);
        let refused = answer(&address, &head);
        assert!(
            status(&refused) == "403" && refused.contains("bearer"),
            "{refused}"
        );
    }
}

#[test]
fn an_endpoint_says_what_is_wrong_before_it_serves() {
    let (stage, _daemon) = stage();
    let open = stage.site.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let open = open.to_str().unwrap();
    let own = stage.site.path().join("mine");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let own = own.to_str().unwrap();
    let endpoint = |kind, directory: &str, listen: &str| {
        format!("endpoint {kind} it --directory {directory}{listen}")
    };
    let cases = [
        (
            endpoint("azure", open, " --listen 127.0.0.1:0"),
            78,
            "yours alone",
        ),
        (
            endpoint("azure", own, " --listen 0.0.0.0:0"),
            78,
            "this machine alone",
        ),
        (
            endpoint("gce", own, " --listen 169.254.169.254:80"),
            78,
            "this machine alone",
        ),
        (endpoint("azure", own, ""), 64, "--listen"),
        (
            endpoint("external-account", own, " --listen 127.0.0.1:0"),
            64,
            "--credentials",
        ),
        (
            "exec --as azure it crm -- true".to_owned(),
            64,
            "one account",
        ),
        (
            "exec --as external-account it -- true".to_owned(),
            78,
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ];
    for (line, code, says) in cases {
        let words: Vec<&str> = line.split(' ').collect();
        let said = stage.site.tokenctl(&words).unwrap();
        assert!(
            said.code == Some(code) && said.err.contains(says),
            "{words:?}: {said:?}"
        );
    }
}
