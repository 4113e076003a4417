//! Callers over HTTP that send too much, too slowly, too often, or what is no request, to the daemon's own socket.

use tokend_harness::clock::Stopwatch;

use super::*;

#[test]
fn other_methods_and_bodies_are_refused_before_anything_is_done() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    let head = curl(
        site,
        &["-I", "-H", "X-Tokend: 1", "http://tokend/v1/health"],
    );
    let head = { head }.output().unwrap().stdout;
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert!(
        head.contains("\r\nallow: get\r\n") && head.contains("\r\ncache-control: no-store\r\n")
    );
    for (body, code) in [
        (json!({"token": ""}), "bad-request"),
        (json!({"token": "t", "more": 1}), "bad-request"),
        (json!([]), "bad-request"),
    ] {
        assert_eq!(post(site, "/v1/accounts/it/reject", &body).code(), code);
    }
    let long = json!({"token": "x".repeat(70_000)});
    let file = site.path().join("long");
    fs::write(&file, long.to_string()).unwrap();
    let file = format!("@{}", file.display());
    let arguments = [
        "-H",
        "X-Tokend: 1",
        "-H",
        "Content-Type: application/json",
        "-d",
        &file,
    ];
    let long = ask_with(site, "/v1/accounts/it/reject", &arguments);
    assert_eq!((long.status, &*long.code()), (413, "too-large"));
    assert_eq!(stage.requests(), 0);
}

#[test]
fn a_caller_that_hangs_up_waits_no_longer() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let site = &stage.site;
    stage.once(Fault::before(slow(Duration::from_secs(4))));
    let mut waiting = curl(
        site,
        &["-H", "X-Tokend: 1", "http://tokend/v1/accounts/it/token"],
    )
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
    let waiters = |count: u64| {
        let status = site.status("it").unwrap();
        status["waiters"] == count
    };
    wait_until("the caller to wait", PATIENCE, || waiters(1)).unwrap();
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    wait_until("the caller to be gone", Duration::from_secs(3), || {
        waiters(0)
    })
    .unwrap();
}

#[test]
fn over_http_too_one_user_has_so_many_places_and_is_told_when_to_come_back() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "[limits]\nconnections_per_user = 2\n");
    let site = &stage.site;
    let mut held = Vec::new();
    let said = loop {
        let stream = connect(site);
        let moment = Duration::from_millis(500);
        stream.set_read_timeout(Some(moment)).unwrap();
        let mut said = String::new();
        match (&stream).read_to_string(&mut said) {
            Ok(_) => break said,
            // It has a place, and waits for a request.
            Err(_) => held.push(stream),
        }
    };
    // Where the harness looked whether the daemon is there, a place may still have been taken.
    assert!((1..=2).contains(&held.len()), "{held:?}");
    while held.len() < 2 {
        held.push(connect(site));
    }
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{said}");
    for line in [
        "retry-after: 1",
        "connection: close",
        "cache-control: no-store",
    ] {
        assert!(head.lines().any(|it| it == line), "{said}");
    }
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&problem["code"], &problem["retry_after"]),
        (&json!("too-busy"), &json!(1))
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("2 connections open"),
        "{problem}"
    );
    assert!(
        problem["advice"]
            .as_str()
            .unwrap()
            .contains("connections_per_user"),
        "{problem}"
    );
    // A program that knows HTTP reads it as well, although its request is not read.
    let answer = ask(site, "/v1/accounts/it/token");
    assert_eq!(
        (answer.status, &*answer.code(), &*answer.retry_after),
        (503, "too-busy", "1")
    );
    let said = site.tokenctl(&["get", "it"]).unwrap();
    assert_eq!(said.code, Some(75), "{said:?}");
    drop(held);
    ask_until(site, "/v1/accounts/it/token", |it| it.status == 200);
}

/// A socket does not hold it, so that the answer comes while most of it is still to be sent.
#[test]
fn a_body_that_is_far_too_long_is_refused_in_words_that_its_sender_reads() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "");
    let (head, length) = (
        "POST /v1/accounts/it/reject HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\ncontent-type: application/json\r\n",
        8 << 20,
    );
    for framing in [
        format!("content-length: {length}"),
        format!("transfer-encoding: chunked\r\n\r\n{length:x}"),
    ] {
        let stream = connect(&stage.site);
        say(&stream, &format!("{head}{framing}\r\n"));
        say(
            &stream,
            if framing.contains("chunked") {
                ""
            } else {
                "\r\n"
            },
        );
        say(&stream, &"x".repeat(length));
        let said = rest(stream);
        assert!(
            said.starts_with("HTTP/1.1 413 ") && said.contains("too-large"),
            "{said}"
        );
    }
    // What is behind a request of no HTTP at all.
    let stream = connect(&stage.site);
    say(&stream, &format!("nothing\r\n\r\n{}", "x".repeat(length)));
    let said = rest(stream);
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(stage.requests(), 0);
}

#[test]
fn what_is_no_request_or_comes_too_slowly_ends_its_connection_and_hurts_nobody() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = start(&stage, "[limits]\nframe_timeout = \"2s\"\n");
    let site = &stage.site;
    let (long, many) = (
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(70)),
    );
    for (text, status) in [
        ("\u{0}\u{0}\u{0}\u{8}tokend\r\n\r\n", "400"),
        (
            "{\"request\":\"access_token\",\"account\":\"it\"}\n\n",
            "400",
        ),
        (&long, "431"),
        (&many, "431"),
    ] {
        let stream = connect(site);
        say(&stream, text);
        let said = rest(stream);
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status} ")),
            "{text:.20}: {said}"
        );
    }
    // It may not come by HTTP/2: such a client understands no other answer.
    let stream = connect(site);
    say(&stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(rest(stream), "");
    // A part of a head, nearly all of one, and a body that stops.
    let half = "POST /v1/accounts/it/reject HTTP/1.1\r\nhost: t\r\nx-tokend: 1\r\ncontent-type: application/json\r\ncontent-length: 20\r\n";
    for (begun, answer) in [
        ("GET /v1/hea", ""),
        (half, ""),
        (&format!("{half}\r\n{{"), "HTTP/1.1 408 "),
    ] {
        let watch = Stopwatch::start();
        let stream = connect(site);
        say(&stream, begun);
        let said = rest(stream);
        assert!(
            said.starts_with(answer) && said.is_empty() == answer.is_empty(),
            "{said}"
        );
        let took = watch.elapsed();
        assert!(took >= Duration::from_secs(1), "{begun}: {took:?}");
    }
    // Others are served meanwhile.
    let _silent = connect(site);
    let begun = connect(site);
    say(&begun, "GET /");
    assert_eq!(ask(site, "/v1/accounts/it/token").status, 200);
    assert_eq!(stage.requests(), 1);
}
