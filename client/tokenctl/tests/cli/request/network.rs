//! The way to an API: TLS, proxies, and what breaks on it.

use std::path::Path;

use super::{daemon, generous, new, no_content, old, request, with_environment};
use crate::api::Api;

#[test]
fn a_certificate_that_nobody_knows_gets_no_token() {
    let api = Api::encrypted(|conversation| match conversation.seen.has_token(&old()) {
        true => conversation.answer("200 OK", "welcome"),
        false => conversation.answer("401 No", ""),
    });
    let daemon = daemon(&api.url("/"));
    let (url, authority) = (api.url("/"), api.authority());
    let words = ["GET", url.as_str()];
    let trusted = with_environment(&daemon, &words, &[("SSL_CERT_FILE", &authority)]);
    assert_eq!(
        (trusted.code, trusted.stdout.as_str()),
        (0, "welcome"),
        "{}",
        trusted.stderr
    );
    let other = Api::encrypted(no_content);
    let unknown = with_environment(&daemon, &words, &[("SSL_CERT_FILE", &other.authority())]);
    assert_eq!(
        (unknown.code, unknown.stdout.as_str()),
        (78, ""),
        "{}",
        unknown.stderr
    );
    assert!(
        unknown.stderr.contains("SSL_CERT_FILE"),
        "{}",
        unknown.stderr
    );
    // The right authority, and another name.
    let local = url.replace("127.0.0.1", "localhost");
    let renamed = super::daemon(&local);
    let renamed = with_environment(&renamed, &["GET", &local], &[("SSL_CERT_FILE", &authority)]);
    assert_eq!(renamed.code, 78, "{}", renamed.stderr);
    let none = with_environment(
        &daemon,
        &words,
        &[("SSL_CERT_FILE", Path::new("/dev/null"))],
    );
    assert_eq!(none.code, 78, "{}", none.stderr);
    assert!(
        none.stderr.contains("no certificate authorities"),
        "{}",
        none.stderr
    );
    assert_eq!(api.seen().len(), 1);
    // A server that does not speak TLS at all.
    let plain = generous();
    let url = plain.url("/").replace("http:", "https:");
    let daemon = super::daemon(&url);
    let plain = with_environment(&daemon, &["GET", &url], &[("SSL_CERT_FILE", &authority)]);
    assert!(
        [75, 78].contains(&plain.code),
        "{}: {}",
        plain.code,
        plain.stderr
    );
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_and_never_sees_the_token() {
    let proxy = Api::start(|conversation| conversation.answer("403 Forbidden", ""));
    let api = Api::encrypted(|conversation| conversation.answer("200 OK", "welcome"));
    let (url, authority) = (api.url("/"), api.authority());
    let daemon = daemon(&url);
    let address = proxy.url("");
    let environment = [
        ("HTTPS_PROXY", Path::new(&address)),
        ("SSL_CERT_FILE", authority.as_path()),
    ];
    let refused = with_environment(&daemon, &["GET", &url], &environment);
    assert_eq!(refused.code, 75, "{}", refused.stderr);
    assert!(refused.stderr.contains("HTTPS_PROXY"), "{}", refused.stderr);
    let head = proxy.seen().pop().unwrap().head;
    assert!(
        head.starts_with(&format!("CONNECT 127.0.0.1:{} ", api.port())),
        "{head}"
    );
    assert!(!head.contains(&old()), "{head}");
    let around = [
        environment[0],
        environment[1],
        ("NO_PROXY", Path::new("127.0.0.1")),
    ];
    let direct = with_environment(&daemon, &["GET", &url], &around);
    assert_eq!(
        (direct.code, direct.stdout.as_str()),
        (0, "welcome"),
        "{}",
        direct.stderr
    );
    for unusable in [
        "gopher://hunter2",
        "socks5://hunter2:1",
        "socks4://hunter2:1",
    ] {
        let environment = [("HTTPS_PROXY", Path::new(unusable)), environment[1]];
        let broken = with_environment(&daemon, &["GET", &url], &environment);
        assert_eq!(broken.code, 78, "{}", broken.stderr);
        assert!(!broken.stderr.contains("hunter2"), "{}", broken.stderr);
    }
    // What is not encrypted goes to no proxy.
    let plain = generous();
    let daemon = super::daemon(&plain.url("/"));
    let environment = [
        ("HTTP_PROXY", Path::new(&address)),
        ("ALL_PROXY", Path::new(&address)),
        ("HTTPS_PROXY", Path::new(&address)),
    ];
    let plain = with_environment(&daemon, &["GET", &plain.url("/")], &environment);
    assert_eq!((plain.code, proxy.seen().len()), (0, 1), "{}", plain.stderr);
}

#[test]
fn what_breaks_on_the_way_ends_with_75_and_what_is_not_http_with_70() {
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(20_000));
    for (bytes, code) in [
        (String::new(), 75),
        ("HTTP/1.1 200 O".to_owned(), 75),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
            75,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf".to_owned(),
            75,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfir".to_owned(),
            75,
        ),
        (
            "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
            75,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), 70),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            70,
        ),
        (large, 70),
        (many, 70),
    ] {
        let shown: String = bytes.chars().take(60).collect();
        let api = Api::start(move |conversation| conversation.send(bytes.as_bytes()));
        let ended = request(&api, &["GET", &api.url("/")]);
        assert_eq!(ended.code, code, "{shown}: {}", ended.stderr);
        assert_eq!(api.seen().len(), 1, "{shown}");
    }
    let gone = Api::start(no_content)
        .url("/")
        .replace("127.0.0.1", "127.0.0.2");
    let ended = super::tokenctl(&daemon(&gone), &["request", "GET", &gone]);
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    let name = "https://tokend.invalid/".to_owned();
    let ended = super::tokenctl(&daemon(&name), &["request", "GET", &name]);
    assert_eq!(ended.code, 75, "{}", ended.stderr);
}

#[test]
fn an_api_that_is_slow_is_left_when_the_time_is_over() {
    let silent = Api::start(|conversation| conversation.wait_for_the_end());
    let drops = Api::start(|conversation| {
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\na")?;
        conversation.wait_for_the_end()
    });
    for api in [silent, drops] {
        let ended = request(&api, &["GET", &api.url("/"), "--max-time", "1s"]);
        assert_eq!(ended.code, 75, "{}", ended.stderr);
        assert!(ended.stderr.contains("--max-time"), "{}", ended.stderr);
    }
    // The time counts for both requests together.
    let second = Api::start(|conversation| match conversation.seen.has_token(&new()) {
        true => conversation.wait_for_the_end(),
        false => conversation.answer("401 No", ""),
    });
    let ended = request(&second, &["GET", &second.url("/"), "--max-time", "2s"]);
    assert_eq!(
        (ended.code, second.seen().len()),
        (75, 2),
        "{}",
        ended.stderr
    );
}
