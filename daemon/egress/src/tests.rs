//! The relay over real sockets of the loopback address, spoken to by hand.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{MOST, bounds};
use crate::testing::{Act, Provider, raw, start};
use tokend_process::testing::soon;

/// Nobody listens on tcpmux.
const NOBODY: &str = "127.0.0.1:1";

async fn relay() -> SocketAddr {
    start(MOST).await
}

async fn connect(relay: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(relay).await.unwrap();
    let head = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    soon(async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    String::from_utf8(head).unwrap()
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end as well.
    let _reset = soon(stream.read_to_end(&mut text)).await;
    String::from_utf8(text).unwrap()
}

async fn say(relay: SocketAddr, head: &str) -> String {
    read_all(connect(relay, head).await).await
}

async fn failure(relay: SocketAddr, target: &str) -> String {
    say(
        relay,
        &format!("GET /failure HTTP/1.1\nhost: relay\ntokend-target: {target}"),
    )
    .await
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_to_the_end_of_either() {
    let relay = relay().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let mut asker = connect(relay, &format!("CONNECT {address} HTTP/1.1\nhost: x")).await;
    let (mut other, _) = soon(target.accept()).await.unwrap();
    let head = read_head(&mut asker).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    asker.write_all(b"question").await.unwrap();
    asker.shutdown().await.unwrap();
    let mut question = String::new();
    soon(other.read_to_string(&mut question)).await.unwrap();
    other.write_all(b"answer").await.unwrap();
    drop(other);
    assert_eq!(
        (question.as_str(), read_all(asker).await.as_str()),
        ("question", "answer")
    );
}

#[tokio::test]
async fn what_failed_is_told_and_remembered_until_it_works() {
    let relay = relay().await;
    let refused = "tcp connect error: Connection refused (os error 111)";
    let answer = say(relay, &format!("CONNECT {NOBODY} HTTP/1.1\nhost: x")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("proxy-status: tokend-egress; error=connection_refused\r\n"));
    assert!(answer.ends_with(&format!("{refused}\n")), "{answer}");
    let message = failure(relay, NOBODY).await;
    assert!(
        message.starts_with("HTTP/1.1 200 ") && message.contains(refused),
        "{message}"
    );
    assert!(
        failure(relay, "127.0.0.1:2")
            .await
            .starts_with("HTTP/1.1 404 ")
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    drop(listener);
    let reach = format!("GET /reach HTTP/1.1\nhost: x\ntokend-target: {target}");
    assert!(say(relay, &reach).await.starts_with("HTTP/1.1 502 "));
    assert!(failure(relay, &target).await.starts_with("HTTP/1.1 200 "));
    // Somebody else may have this port by now; then it works all the same.
    let _listener = TcpListener::bind(&target).await;
    assert!(say(relay, &reach).await.starts_with("HTTP/1.1 200 "));
    assert!(failure(relay, &target).await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_name_that_is_none_is_told_as_such() {
    let relay = relay().await;
    let answer = say(relay, "CONNECT no-such-host.invalid:443 HTTP/1.1\nhost: x").await;
    assert!(answer.contains("error=dns_error\r\n"), "{answer}");
    assert!(answer.contains("\r\n\r\ndns error: "), "{answer}");
}

#[tokio::test]
async fn a_request_is_passed_on_once_and_as_it_came() {
    let (relay, provider) = (relay().await, Provider::start().await);
    let base = &provider.base_url;
    provider.then(Act::Say(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\n\
         proxy-status: tokend-egress; error=connection_refused\r\nx-kept: yes\r\ncontent-length: 4\r\n\r\nbody"
            .to_owned(),
    ));
    let head = format!(
        "POST {base}/token?a=b HTTP/1.1\nhost: other\nauthorization: Basic x\ntokend-connect-timeout: 5000\n\
         proxy-connection: keep-alive\ncontent-length: 4"
    );
    let mut stream = connect(relay, &head).await;
    stream.write_all(b"body").await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert!(
        answer.contains("x-kept: yes\r\n") && answer.ends_with("\r\n\r\nbody"),
        "{answer}"
    );
    assert!(
        !answer.contains("proxy-status"),
        "only the relay says this: {answer}"
    );
    let seen = provider.seen();
    assert_eq!(seen.len(), 1);
    let seen = &seen[0];
    let host = base.strip_prefix("http://").unwrap();
    assert!(seen.starts_with("POST /token?a=b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {host}\r\n")), "{seen}");
    assert!(seen.contains("authorization: Basic x\r\n") && seen.ends_with("\r\n\r\nbody"));
    assert!(
        !seen.contains("tokend-") && !seen.contains("proxy-"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_request_without_a_whole_answer_is_not_repeated() {
    for act in [Act::ResetAtOnce, Act::ResetAfter, Act::Say(String::new())] {
        let (relay, provider) = (relay().await, Provider::start().await);
        let what = format!("{act:?}");
        provider.then(act);
        let answer = say(
            relay,
            &format!("GET {}/ HTTP/1.1\nhost: x", provider.base_url),
        )
        .await;
        assert!(
            answer.contains("error=http_response_incomplete\r\n"),
            "{what}: {answer}"
        );
        assert!(provider.seen().len() <= 1, "{what}");
    }
}

#[tokio::test]
async fn whoever_gives_up_takes_the_request_along() {
    let relay = relay().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let asker = connect(relay, &format!("GET http://{address}/ HTTP/1.1\nhost: x")).await;
    let (mut other, _) = soon(target.accept()).await.unwrap();
    read_head(&mut other).await;
    drop(asker);
    assert_eq!(soon(other.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn everything_else_is_refused_with_a_sentence() {
    let relay = relay().await;
    for (line, sentence) in [
        (
            "GET / HTTP/1.1",
            "it takes CONNECT host:port, and requests for http:// addresses",
        ),
        ("GET /failure HTTP/1.1", "it takes CONNECT host:port"),
        ("GET https://a/ HTTP/1.1", "use CONNECT for others"),
        (
            "GET http://user:hunter2@a/ HTTP/1.1",
            "neither user name nor password",
        ),
        ("CONNECT a HTTP/1.1", "CONNECT takes host:port"),
    ] {
        let answer = say(relay, &format!("{line}\nhost: x")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line}: {answer}");
        assert!(
            answer.contains("error=http_request_denied\r\n"),
            "{line}: {answer}"
        );
        assert!(
            answer.contains(sentence) && !answer.contains("hunter2"),
            "{line}: {answer}"
        );
    }
    let odd = "CONNECT a:1 HTTP/1.1\nhost: x\ntokend-connect-timeout: soon";
    assert!(
        say(relay, odd)
            .await
            .contains("not a number of milliseconds")
    );
    let answer = say(relay, "\u{16}\u{3}\u{1} this is TLS").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn more_than_there_is_room_for_are_told_so_until_a_place_is_free() {
    let relay = start(1).await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let mut first = connect(relay, &format!("CONNECT {address} HTTP/1.1\nhost: x")).await;
    let (other, _) = soon(target.accept()).await.unwrap();
    read_head(&mut first).await;
    let asks = [
        "CONNECT a:1 HTTP/1.1\nhost: x",
        "GET /failure HTTP/1.1\nhost: x\ntokend-target: a:1",
        "POST http://a/ HTTP/1.1\nhost: x\ncontent-length: 0",
        "GET / HTTP/1.1\nhost: x",
    ];
    for ask in asks {
        let message = say(relay, ask).await;
        assert!(message.starts_with("HTTP/1.1 503 "), "{ask}: {message}");
        let word = "proxy-status: tokend-egress; error=connection_limit_reached\r\n";
        assert!(message.contains(word), "{ask}: {message}");
        assert!(
            message.ends_with("\r\n\r\nall 1 are taken\n"),
            "{ask}: {message}"
        );
    }
    drop((first, other));
    // The place is given back a moment after the connection has ended.
    let remembered = soon(async {
        loop {
            let message = failure(relay, "a:1").await;
            if !message.starts_with("HTTP/1.1 503 ") {
                break message;
            }
        }
    });
    let remembered = remembered.await;
    assert!(remembered.ends_with("all 1 are taken\n"), "{remembered}");
}

#[tokio::test]
async fn a_tunnel_on_which_nothing_passes_is_ended() {
    let relay = relay().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let limits = "tokend-connect-timeout: 100\ntokend-timeout: 100";
    let mut idle = connect(
        relay,
        &format!("CONNECT {address} HTTP/1.1\nhost: x\n{limits}"),
    )
    .await;
    let (mut other, _) = soon(target.accept()).await.unwrap();
    assert!(read_head(&mut idle).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(soon(other.read(&mut [0; 8])).await.unwrap(), 0);
    assert_eq!(read_all(idle).await, "");
}

#[test]
fn there_are_no_more_places_than_descriptors() {
    let of = |descriptors| {
        let bounds = bounds(descriptors);
        (bounds.all, bounds.each)
    };
    assert_eq!((of(None), of(Some(65_536))), ((4096, 1024), (4096, 1024)));
    assert_eq!((of(Some(1024)), of(Some(0))), ((448, 112), (4, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_or_does_not_end_is_not_waited_for() {
    let relay = relay().await;
    let silent = TcpStream::connect(relay).await.unwrap();
    let half = {
        let mut stream = TcpStream::connect(relay).await.unwrap();
        stream
            .write_all(b"GET http://a/ HTTP/1.1\r\nx: ")
            .await
            .unwrap();
        stream
    };
    for mut stream in [silent, half] {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    let mut stream = TcpStream::connect(relay).await.unwrap();
    let endless = format!("GET http://a/ HTTP/1.1\r\nx: {}", "x".repeat(200_000));
    let _cut = stream.write_all(endless.as_bytes()).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn the_configured_proxy_is_gone_through() {
    let relay = relay().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let headers = format!(
        "host: x\ntokend-proxy: http://{}/",
        proxy.local_addr().unwrap()
    );

    let mut asker = connect(
        relay,
        &format!("CONNECT far.example:443 HTTP/1.1\n{headers}"),
    )
    .await;
    let (mut other, _) = soon(proxy.accept()).await.unwrap();
    let asked = read_head(&mut other).await;
    assert!(
        asked.starts_with("CONNECT far.example:443 HTTP/1.1\r\n"),
        "{asked}"
    );
    other
        .write_all(b"HTTP/1.1 200 OK\r\n\r\nfrom afar")
        .await
        .unwrap();
    drop(other);
    assert!(read_head(&mut asker).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(read_all(asker).await, "from afar");

    let asker = connect(
        relay,
        &format!("CONNECT far.example:443 HTTP/1.1\n{headers}"),
    )
    .await;
    let (mut other, _) = soon(proxy.accept()).await.unwrap();
    read_head(&mut other).await;
    other
        .write_all(raw("403 Forbidden", "no").as_bytes())
        .await
        .unwrap();
    let answer = read_all(asker).await;
    assert!(answer.contains("error=http_request_denied\r\n"), "{answer}");
    assert!(
        answer.contains(" answered 403 Forbidden to CONNECT"),
        "{answer}"
    );

    let answer = say(
        relay,
        &format!("GET http://near.example/x HTTP/1.1\n{headers}"),
    )
    .await;
    assert!(answer.contains("goes through no proxy"), "{answer}");
}

#[tokio::test]
async fn what_the_proxy_shall_know_of_us_goes_to_the_proxy_alone() {
    let relay = relay().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let secret = "proxy-authorization: Basic eA==";
    let headers = format!("host: x\ntokend-proxy: http://{at}/\n{secret}");
    let _asker = connect(
        relay,
        &format!("CONNECT far.example:443 HTTP/1.1\n{headers}"),
    )
    .await;
    let (mut other, _) = soon(listener.accept()).await.unwrap();
    assert!(read_head(&mut other).await.contains(secret));

    let direct = format!("GET http://{at}/x HTTP/1.1\nhost: x\n{secret}");
    let _asker = connect(relay, &direct).await;
    let (mut other, _) = soon(listener.accept()).await.unwrap();
    assert!(!read_head(&mut other).await.contains("proxy-authorization"));
}
