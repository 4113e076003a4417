//! Requests whose end can be read in two ways, such as somebody sends through a proxy in front.

use super::*;

/// Everything that comes on one connection for `text`.
async fn said(text: &str) -> String {
    let mut talk = Talk::start();
    talk.publish("secret-token", 1);
    talk.say(text).await;
    let mut said = Vec::new();
    let silence = Duration::from_secs(60);
    while let Ok(Ok(1..)) = timeout(silence, talk.client.read_buf(&mut said)).await {}
    String::from_utf8(said).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_hidden_in_another_is_never_answered() {
    let post = "POST /v1/accounts/ads/reject HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\ncontent-type: application/json\r\n";
    let length = TOKEN.len();
    for framing in [
        &*format!("content-length: 0\r\ncontent-length: {length}\r\n\r\n"),
        &format!("content-length: {length}\r\ncontent-length: 0\r\n\r\n"),
        &format!("content-length: {length}, 0\r\n\r\n"),
        &format!("content-length: +{length}\r\n\r\n"),
        &format!("content-length: {length}\r\n\r\n"),
        &format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        &format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n0\r\n\r\n"),
        &format!("content-length: {length}\r\ntransfer-encoding: identity\r\n\r\n"),
        &format!("content-length: {length}\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
        "content-length: -1\r\n\r\n",
        "content-length: 0x0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\n\n",
        "transfer-encoding: chunked\r\n\r\n0;x=\n\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n10000000000000000\r\n",
        "transfer-encoding: chunked\r\n\r\n-1\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}",
        "x: y\rcontent-length: 0\r\n\r\n",
    ] {
        let said = said(&format!("{post}{framing}{TOKEN}")).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{framing:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {said}");
        assert!(!said.contains("secret-token"), "{framing:?}: {said}");
    }
    // A body of a request that has none is not the next request.
    for framing in [
        format!("content-length: {length}"),
        "transfer-encoding: chunked".to_owned(),
    ] {
        let whoami = format!("GET /v1/health HTTP/1.1\r\nx-tokend: 1\r\n{framing}\r\n\r\n");
        let said = said(&format!("{whoami}{TOKEN}")).await;
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{framing}: {said}");
        assert!(!said.contains("secret-token"), "{framing}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_header_and_path_of_the_contract_bring_a_token() {
    for (part, other) in [
        ("x-tokend: 1", "x-tokend: 1\r\nx-tokend: 1"),
        ("x-tokend: 1", "x-tokend: 1, 1"),
        ("x-tokend: 1", "x_tokend: 1"),
        ("x-tokend: 1", "x-tokend : 1"),
        ("x-tokend: 1", "x-tokend: 1\r\norigin:"),
        ("x-tokend: 1", "y: z\r\n x-tokend: 1"),
        ("/v1/accounts", "//v1/accounts"),
        ("/v1/accounts", "/v1/./accounts"),
        ("/v1/accounts", "/v1/../v1/accounts"),
        ("/token", "/token/"),
        ("/token", "/%74oken"),
        ("/ads", "/ads%00"),
        ("/ads", "/ads;x"),
        ("/ads", "/../ads"),
        ("/ads", "/x%2f..%2fads"),
        ("GET ", "get "),
        ("GET ", "HEAD "),
        ("GET ", "POST "),
        ("GET ", "OPTIONS "),
        ("GET ", "TRACE "),
        ("GET ", "CONNECT "),
        ("HTTP/1.1", "HTTP/0.9"),
    ] {
        let request = TOKEN.replacen(part, other, 1);
        assert_ne!(request, TOKEN);
        let said = said(&request).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{request:?}: {said}");
        assert!(!said.contains("secret-token"), "{request:?}: {said}");
    }
}
