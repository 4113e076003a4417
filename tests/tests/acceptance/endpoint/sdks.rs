//! What unmodified SDKs get.

use std::{net::TcpListener, thread};

use tokend_harness::clock::{wait_for, wait_until};

use super::*;

#[test]
fn an_sdk_gets_the_token_the_next_one_and_after_a_refusal_a_new_one() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        let expired = stage.expired(Api::JwtApi);
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let (first, seconds) = sdk.token("anew");
        assert_ne!(first, expired);
        assert_eq!(first, stage.sim.newest_access("it").unwrap());
        assert!((3500..=3600).contains(&seconds), "{kind}: {seconds}");
        // As long as it is good the SDK does not even ask.
        assert_eq!(sdk.token("same").0, first);
        assert_eq!(stage.requests(), 2, "{kind}");
        // The protocol has no word for a refusal: somebody has to report it.
        stage.sim.end_access("it");
        stage.reject("it", &first).line().unwrap();
        sdk.end();
        // Some keep a token for the whole process.
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let (second, _) = sdk.token("anew");
        assert_ne!(second, first);
        assert!(stage.accepted(Api::JwtApi, &second));
        sdk.end();
    }
}

#[test]
fn an_sdk_causes_no_storm_with_tokens_shorter_than_its_margin() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        stage
            .sim
            .change("it", |it| it.access_lifetime = Duration::from_secs(120));
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let (first, _) = sdk.token("anew");
        for _ in 0..20 {
            assert_eq!(sdk.token("same").0, first, "{kind}");
        }
        assert!(stage.requests() <= 2, "{kind}: {}", stage.requests());
        sdk.end();
    }
}

#[test]
fn what_the_token_is_not_for_and_what_cannot_be_had_is_told_in_words_that_the_sdk_shows() {
    for (kind, purpose, words) in SDKS {
        let (stage, _daemon) = stage();
        let other: Vec<&str> = words
            .iter()
            .map(|it| it.trim_end_matches("com").trim_end_matches("read"))
            .collect();
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), &other, &[]);
        let said = sdk.refused();
        assert!(
            said.contains("not known to be for") && said.contains("--for"),
            "{said}"
        );
        sdk.end();
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &[]);
        let token = stage.site.get("it").unwrap();
        stage.sim.change_secret("it", "another");
        stage.sim.end_refresh("it");
        stage.sim.end_access("it");
        let _no_newer = stage.reject("it", &token);
        let said = sdk.refused();
        assert!(
            said.contains("refuses the credential") && said.contains("correct the password"),
            "{kind}: {said}"
        );
        // The endpoint answers and prints at the same time.
        let is_printed = || sdk.errors().contains("correct the password");
        wait_until("the line of the endpoint", PATIENCE, is_printed).unwrap();
        sdk.end();
    }
}

#[test]
fn no_proxy_gets_the_secret_and_no_argument_has_it() {
    let (stage, _daemon) = stage();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    proxy.set_nonblocking(true).unwrap();
    let around = [
        ("HTTP_PROXY", url.as_str()),
        ("http_proxy", &url),
        ("no_proxy", "internal.example.com"),
    ];
    for (kind, purpose, words) in SDKS {
        let mut sdk = Talk::sdk(&stage, kind, Some(purpose), words, &around);
        sdk.token("anew");
        let nobody = proxy.accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "{kind}");
        let environment = fs::read(format!("/proc/{}/environ", sdk.child.id())).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(
            environment.contains("no_proxy=internal.example.com,127.0.0.1\0"),
            "{environment}"
        );
        let secret = environment
            .split('\0')
            .find_map(|it| it.strip_prefix("IDENTITY_HEADER="));
        if let Some(secret) = secret {
            for process in fs::read_dir("/proc").unwrap().flatten() {
                let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&words).contains(secret));
            }
        }
        sdk.end();
    }
}

/// A token service that gives `exchanged-` and the token it was sent.
fn exchange() -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/token", listener.local_addr().unwrap());
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        while read.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let mut fields = body.split('&');
        let sent = fields
            .find_map(|it| it.strip_prefix("subject_token="))
            .unwrap();
        let answer = format!(
            r#"{{"access_token":"exchanged-{sent}","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}}"#
        );
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
    };
    (url, thread::spawn(serve))
}

#[test]
fn an_external_account_exchanges_the_token_and_leaves_nothing_behind() {
    let (stage, _daemon) = stage();
    let (url, served) = exchange();
    let own = stage.site.path().join("own.json");
    let configuration = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.example.com/pools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": url,
        "credential_source": { "file": "/nonexistent" },
    });
    fs::write(&own, configuration.to_string()).unwrap();
    let runtime = tempfile::tempdir_in("/dev/shm").unwrap();
    let environment = [
        ("GOOGLE_APPLICATION_CREDENTIALS", own.to_str().unwrap()),
        ("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap()),
    ];
    let mut sdk = Talk::sdk(
        &stage,
        "external-account",
        None,
        &["google", SCOPE],
        &environment,
    );
    let (token, _) = sdk.token("anew");
    let own = stage.sim.newest_access("it").unwrap();
    assert_eq!(token, format!("exchanged-{own}"));
    served.join().unwrap();
    assert_eq!(fs::read_dir(runtime.path()).unwrap().count(), 1);
    sdk.end();
    let is_empty = || (fs::read_dir(runtime.path()).unwrap().count() == 0).then_some(());
    wait_for("its file to go", PATIENCE, is_empty).unwrap();
}

/// A name that is not set is read as the other one; alone, `*` is all hosts.
#[test]
fn what_was_reached_without_a_proxy_stays_so_and_what_an_sdk_prefers_is_taken_out() {
    let (stage, _daemon) = stage();
    let said = |kind: &str, set: &[(&str, &str)]| {
        let output = Command::new(&stage.site.binaries().tokenctl)
            .arg("--socket")
            .arg(stage.site.socket())
            .args(["exec", "--as", kind, "it", "--", "env"])
            .env_clear()
            .envs(set.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let both = |value: &str| format!("NO_PROXY={value}\n|no_proxy={value}\n");
    for (set, value) in [
        (&[("NO_PROXY", ".internal")][..], ".internal,127.0.0.1"),
        (
            &[("no_proxy", ".internal"), ("NO_PROXY", "")],
            ".internal,127.0.0.1",
        ),
        (&[("NO_PROXY", "*")], "*"),
        (&[], "127.0.0.1"),
    ] {
        let environment = said("gce", set);
        let is_both = both(value).split('|').all(|it| environment.contains(it));
        assert!(is_both, "{set:?} {value}: {environment}");
    }
    let preferred = [
        ("AZURE_CLIENT_SECRET", "azure"),
        ("AZURE_FEDERATED_TOKEN_FILE", "azure"),
        ("AZURE_TOKEN_CREDENTIALS", "azure"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "gce"),
        ("NO_GCE_CHECK", "gce"),
    ];
    for (name, kind) in preferred {
        assert!(!said(kind, &[(name, "x")]).contains(name), "{name}");
    }
    // Another cloud's are not in the way.
    assert!(
        said("azure", &[("GOOGLE_APPLICATION_CREDENTIALS", "x")])
            .contains("GOOGLE_APPLICATION_CREDENTIALS=x")
    );
}
