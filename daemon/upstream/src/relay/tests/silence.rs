//! Who it was that gave no answer, or none that is known to be whole: the provider, or the relay on the way to it.

use super::*;
use std::path::Path;

/// An account whose provider hangs up on a wrong password.
fn hanging_up(base_url: &str) -> Site {
    let site = site(base_url);
    site.dialect(
        "hangs-up",
        "extends = \"oauth2\"\n\n[[login.rules]]\nno_answer = true\nclass = \"credential-rejected\"\nsay = \"it hangs up on a wrong password\"\n",
    );
    let text = std::fs::read_to_string(site.path().join("tokend.toml")).unwrap();
    let text = text.replace("provider = \"oauth2\"", "provider = \"hangs-up\"");
    site.write(&format!(
        "dialect_dir = \"dialects\"\n{}",
        text.replace("timeout = \"5s\"", "timeout = \"2s\"")
    ));
    site
}

async fn login(site: &Site, egress: Option<Egress>) -> Outcome {
    let upstream = upstream(site, egress);
    let nothing = Credential::default();
    let prepared = upstream.prepare(site.account(), AttemptKind::Login, &nothing, None, None);
    soon(upstream.send(prepared.await.unwrap())).await
}

#[tokio::test]
async fn a_provider_that_gives_no_answer_is_taken_at_its_word_behind_a_relay_too() {
    let dir = dir();
    for egress in [relay().await, relay_in(&dir), None] {
        for act in [Act::ResetAfter, Act::Say(String::new()), Act::Hang] {
            let what = format!("{act:?} {egress:?}");
            let provider = Provider::start().await;
            provider.then(act);
            let outcome = login(&hanging_up(&provider.base_url), egress).await;
            assert_eq!(
                outcome.answer,
                ProviderAnswer::CredentialRejected,
                "{what}: {outcome:?}"
            );
            assert!(
                outcome
                    .message
                    .unwrap()
                    .contains("it hangs up on a wrong password")
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_can_read_is_not_taken_for_none() {
    let dir = dir();
    for egress in [relay().await, relay_in(&dir), None] {
        for garbage in ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "\0\0\0\0"] {
            let provider = Provider::start().await;
            provider.then(Act::Say(garbage.to_owned()));
            let outcome = login(&hanging_up(&provider.base_url), egress).await;
            let what = format!("{garbage:?} {egress:?}: {outcome:?}");
            assert_eq!(outcome.answer, ProviderAnswer::MaybeSent, "{what}");
        }
    }
}

/// A form that only ends with the connection: cut in its last value, it would pass for a whole one with another token.
fn open_ended() -> String {
    ending("access_token=token-1&token_type=Bearer&expires_in=3600&refresh_token=refresh-1")
}

/// An answer that only ends with the connection.
fn ending(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n\r\n{body}")
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_whole_where_the_provider_ended_it() {
    let dir = dir();
    for egress in [relay().await, relay_in(&dir), None] {
        let provider = Provider::start().await;
        provider.then(Act::Say(open_ended()));
        let outcome = attempt(&provider.base_url, egress).await;
        assert!(
            matches!(outcome.answer, ProviderAnswer::Granted(_)),
            "{outcome:?}"
        );
    }
}

/// A relay that makes a tunnel in which this is answered, cuts it, and then answers what it is asked, if it lives on.
fn cutting(path: &Path, answer: String, then: Option<String>) -> Option<Egress> {
    let listener = UnixListener::bind(path).unwrap();
    drop(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _connect = stream.read(&mut head).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _request = stream.read(&mut head).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        drop(stream);
        while let (Some(said), Ok((mut stream, _))) = (&then, listener.accept().await) {
            let _question = stream.read(&mut head).await;
            stream.write_all(said.as_bytes()).await.unwrap();
        }
    }));
    Egress::parse(path.to_str().unwrap()).ok()
}

#[tokio::test]
async fn an_answer_that_may_be_cut_is_not_taken_for_a_whole_one() {
    let dir = dir();
    let ends = [
        None,
        Some(raw("404 Not Found", "the relay ended it")),
        Some(raw("404 Not Found", "nothing ended there of late")),
        Some(raw("200 OK", "the target broke it off")),
    ];
    for (number, then) in ends.into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.sock"));
        let what = format!("{then:?}");
        let egress = cutting(&path, open_ended(), then.clone());
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        assert_eq!(
            outcome.answer,
            ProviderAnswer::MaybeSent,
            "{what}: {outcome:?}"
        );
        assert!(outcome.message.unwrap().contains("the egress relay at "));
        // One that says itself where it ends is whole whoever ends the connection.
        let path = dir.path().join(format!("{number}.whole.sock"));
        let egress = cutting(
            &path,
            raw("200 OK", &tokend_egress::testing::grant(1)),
            then,
        );
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        assert!(
            matches!(outcome.answer, ProviderAnswer::Granted(_)),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_whole_grant_in_json_is_kept_whatever_became_of_other_connections() {
    let dir = dir();
    let spaced = format!(" {}\r\n", tokend_egress::testing::grant(1));
    let marked = format!("\u{feff}{}", tokend_egress::testing::grant(1));
    let ends = [
        None,
        Some(raw("404 Not Found", "the relay ended it")),
        Some(raw("200 OK", "the target broke it off")),
        // It does not answer in time.
        Some(String::new()),
    ];
    for (number, then) in ends.into_iter().enumerate() {
        for (kind, body) in [&tokend_egress::testing::grant(1), &spaced, &marked]
            .into_iter()
            .enumerate()
        {
            let path = dir.path().join(format!("{number}.{kind}.sock"));
            let egress = cutting(&path, ending(body), then.clone());
            let outcome = attempt("http://127.0.0.1:2", egress).await;
            let ProviderAnswer::Granted(_) = outcome.answer else {
                panic!("{then:?} {body:?}: {outcome:?}");
            };
        }
        let path = dir.path().join(format!("{number}.cut.sock"));
        let cut = tokend_egress::testing::grant(1);
        let egress = cutting(&path, ending(&cut[..cut.len() - 1]), then.clone());
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        assert_eq!(
            outcome.answer,
            ProviderAnswer::MaybeSent,
            "{then:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_has_no_body_ends_with_its_head() {
    let dir = dir();
    for status in ["204 No Content", "304 Not Modified"] {
        let answer = format!("HTTP/1.1 {status}\r\n\r\n");
        let path = dir.path().join(format!("{}.sock", &status[..3]));
        let broken = raw("200 OK", "the target broke it off");
        let egress = cutting(&path, answer.clone(), Some(broken));
        let outcome = attempt("http://127.0.0.1:2", egress).await;
        let provider = Provider::start().await;
        provider.then(Act::Say(answer));
        let direct = attempt(&provider.base_url, None).await;
        assert_eq!(outcome.answer, direct.answer, "{outcome:?}");
        assert_ne!(outcome.answer, ProviderAnswer::MaybeSent, "{outcome:?}");
    }
}

/// A relay that makes one tunnel, or takes one request, and is then gone, or hangs.
async fn dies_later(mut stream: impl AsyncRead + AsyncWrite + Unpin, is_tunnel: bool, hangs: bool) {
    let mut head = [0; 4096];
    if is_tunnel {
        let _connect = stream.read(&mut head).await;
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    }
    let _request = stream.read(&mut head).await;
    if hangs {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_relay_that_gives_no_answer_is_not_taken_for_the_provider() {
    let site = hanging_up("http://127.0.0.1:2");
    let dir = dir();
    for (number, hangs) in [false, true].into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.sock"));
        let listener = UnixListener::bind(&path).unwrap();
        drop(tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            dies_later(stream, true, hangs).await;
        }));
        let egress = Egress::parse(path.to_str().unwrap()).ok();
        let outcome = login(&site, egress).await;
        assert_eq!(
            outcome.answer,
            ProviderAnswer::MaybeSent,
            "{hangs}: {outcome:?}"
        );
        assert!(outcome.message.unwrap().contains("; the egress relay at "));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(tokio::spawn(async move {
            let (mut asking, _) = listener.accept().await.unwrap();
            let _question = asking.read(&mut [0; 4096]).await;
            let there = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            asking.write_all(there.as_bytes()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            dies_later(stream, false, hangs).await;
        }));
        let outcome = login(&site, Some(Egress::Tcp(at))).await;
        assert_eq!(
            outcome.answer,
            ProviderAnswer::MaybeSent,
            "{hangs}: {outcome:?}"
        );
        assert!(outcome.message.unwrap().contains("; the egress relay at "));
    }
}

#[tokio::test]
async fn a_tunnel_that_a_living_relay_ended_is_not_taken_for_the_providers_word() {
    let dir = dir();
    let path = dir.path().join("egress.sock");
    // One that answers all that is asked, and ends tunnels by itself.
    let listener = UnixListener::bind(&path).unwrap();
    drop(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).await.unwrap();
            if head[..count].starts_with(b"CONNECT ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _request = stream.read(&mut head).await;
            } else {
                let ended = raw("404 Not Found", "the relay ended it");
                stream.write_all(ended.as_bytes()).await.unwrap();
            }
        }
    }));
    let egress = Egress::parse(path.to_str().unwrap()).ok();
    let outcome = login(&hanging_up("http://127.0.0.1:2"), egress).await;
    assert_eq!(outcome.answer, ProviderAnswer::MaybeSent, "{outcome:?}");
}
