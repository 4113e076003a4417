//! What is sent and what is received: from memory, files and streams, in bounded memory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::{daemon, generous, kinds, new, no_content, old, request, strict, tokenctl};
use crate::api::Api;
use crate::run::{ended, tokenctl_with_input};

#[test]
fn a_file_is_opened_again_for_the_newer_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.json");
    fs::write(&file, "{\"a\": 1}").unwrap();
    let api = strict();
    let data = format!("@{}", file.display());
    let ended = request(&api, &["PUT", &api.url("/"), "--json", "--data", &data]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "welcome"),
        "{}",
        ended.stderr
    );
    for seen in api.seen() {
        assert_eq!(seen.body, b"{\"a\": 1}");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("accept"), Some("application/json"));
    }
    assert_eq!(api.seen().len(), 2);
    let ended = request(&api, &["PUT", &api.url("/"), "-d", "@/nonexistent/file"]);
    assert_eq!((ended.code, api.seen().len()), (74, 2), "{}", ended.stderr);
}

#[test]
fn standard_input_is_sent_once() {
    let api = generous();
    let words = ["request", "DELETE", &api.url("/"), "-d", "@-"];
    let ended = tokenctl_with_input(&daemon(&api.url("/")), &words, "from a pipe");
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "welcome"),
        "{}",
        ended.stderr
    );
    assert_eq!(api.seen()[0].body, b"from a pipe");
    let api = strict();
    let words = ["request", "POST", &api.url("/"), "-d", "@-"];
    let daemon = daemon(&api.url("/"));
    let ended = tokenctl_with_input(&daemon, &words, "from a pipe");
    assert_eq!((ended.code, ended.stdout.as_str()), (75, ""));
    assert!(
        ended.stderr.contains("cannot be sent twice"),
        "{}",
        ended.stderr
    );
    // The next run finds the newer token.
    assert!(kinds(&daemon).contains(&"reject"));
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn standard_input_of_which_the_api_wanted_nothing_is_sent_after_all() {
    let api = Api::start(|conversation| match conversation.seen.has_token(&old()) {
        // Before a byte of the body was sent.
        true => conversation.answer("401 Unauthorized", ""),
        false => {
            conversation.read_body()?;
            conversation.answer("200 OK", "welcome")
        }
    });
    let words = ["request", "POST", &api.url("/"), "-d", "@-"];
    let ended = tokenctl_with_input(&daemon(&api.url("/")), &words, "from a pipe");
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "welcome"),
        "{}",
        ended.stderr
    );
    assert!(api.seen()[1].has_token(&new()));
    assert_eq!(api.seen()[1].body, b"from a pipe");
}

#[test]
fn a_request_without_a_body_says_so() {
    let api = Api::start(no_content);
    for (method, length) in [("POST", Some("0")), ("GET", None), ("DELETE", None)] {
        let ended = request(&api, &[method, &api.url("/")]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let seen = api.seen().pop().unwrap();
        assert_eq!(seen.header("content-length"), length, "{}", seen.head);
        assert_eq!(seen.header("transfer-encoding"), None);
    }
}

/// More than the process may have.
const LARGE: u64 = 210 * 1024 * 1024;

#[test]
fn large_bodies_pass_through_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    File::create(&file).unwrap().set_len(LARGE).unwrap();
    let api = Api::start(|conversation| {
        conversation.read_body()?;
        conversation
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())?;
        let piece = vec![b'x'; 1024 * 1024];
        (0..LARGE / 1024 / 1024).try_for_each(|_| conversation.send(&piece))
    });
    let daemon = daemon(&api.url("/"));
    let received = folder.path().join("received");
    let script = "ulimit -v 200000; exec \"$0\" request POST \"$1\" -d \"@$2\" -o \"$3\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tokenctl"), &api.url("/")])
        .args([&file, &received])
        .env("TOKEND_SOCKET", daemon.socket())
        .output();
    let ended = ended(&output.unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(api.seen()[0].length, LARGE);
    assert_eq!(fs::metadata(&received).unwrap().len(), LARGE);
}

#[test]
fn a_disk_that_is_full_ends_an_endless_answer() {
    let api = Api::start(|conversation| {
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            conversation.send(&[b'x'; 4096])?;
        }
    });
    let ended = request(&api, &["GET", &api.url("/"), "-o", "/dev/full"]);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("/dev/full cannot be written"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_file_is_replaced_by_the_answer_and_only_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer");
    fs::write(&file, "something longer from before").unwrap();
    let word = file.to_str().unwrap();
    let api = Api::start(|conversation| conversation.send(b"nonsense"));
    let ended = request(&api, &["GET", &api.url("/"), "-o", word]);
    assert_eq!(ended.code, 70, "{}", ended.stderr);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "something longer from before"
    );
    let api = generous();
    let ended = request(&api, &["GET", &api.url("/"), "-o", word]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), "welcome");
    let ended = request(&api, &["GET", &api.url("/"), "-o", "/nonexistent/answer"]);
    assert_eq!((ended.code, api.seen().len()), (74, 1), "{}", ended.stderr);
}

#[test]
fn without_an_answer_there_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer");
    let word = file.to_str().unwrap();
    let api = Api::start(|conversation| conversation.send(b"nonsense"));
    let ended = request(&api, &["GET", &api.url("/"), "-o", word]);
    assert_eq!((ended.code, file.exists()), (70, false), "{}", ended.stderr);
    let words = ["GET", &api.url("/"), "--account", "down", "-o", word];
    let ended = request(&api, &words);
    assert_eq!((ended.code, file.exists()), (79, false), "{}", ended.stderr);
    // An answer without a body is one.
    let api = Api::start(no_content);
    let ended = request(&api, &["GET", &api.url("/"), "-o", word]);
    assert_eq!((ended.code, fs::read(&file).unwrap().len()), (0, 0));
}

#[test]
fn a_request_that_is_ended_while_it_waits_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, linked) = (folder.path().join("answer"), folder.path().join("linked"));
    std::os::unix::fs::symlink("answer", &linked).unwrap();
    let (asked, is_asked) = std::sync::mpsc::sync_channel::<()>(3);
    let api = Api::start(move |conversation| {
        asked.send(()).map_err(io::Error::other)?;
        conversation.wait_for_the_end()
    });
    let daemon = daemon(&api.url("/"));
    for (signal, named) in [("TERM", &file), ("INT", &linked), ("KILL", &file)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
            .args(["request", "GET", &api.url("/"), "-o"])
            .arg(named)
            .env("TOKEND_SOCKET", daemon.socket())
            .spawn()
            .unwrap();
        is_asked.recv().unwrap();
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), None, "{signal}");
        assert!(!file.exists(), "{signal}");
    }
    // What cannot be made is noticed before anything is sent.
    let missing = folder.path().join("missing").join("answer");
    std::os::unix::fs::symlink(&missing, folder.path().join("astray")).unwrap();
    let api = generous();
    for wrong in ["astray", "missing/answer", "new/", "."] {
        let wrong = folder.path().join(wrong);
        let ended = request(&api, &["GET", &api.url("/"), "-o", wrong.to_str().unwrap()]);
        assert_eq!((ended.code, api.seen().len()), (74, 0), "{}", ended.stderr);
    }
    let linked = linked.to_str().unwrap();
    let ended = request(&api, &["GET", &api.url("/"), "-o", linked]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "welcome");
}

#[test]
fn an_answer_before_the_end_of_the_body_is_the_answer() {
    const REFUSED: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large";
    /// More than the buffers of a connection hold.
    const BODY: u64 = 64 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    File::create(&file).unwrap().set_len(BODY).unwrap();
    let at = format!("@{}", file.display());
    let answers = |conversation: &mut crate::api::Conversation<'_>| {
        if conversation.seen.header("expect").is_some() {
            conversation.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        conversation.take(64 * 1024)?;
        conversation.send(REFUSED)?;
        conversation.reset();
        Ok(())
    };
    for api in [Api::start(answers), Api::encrypted(answers)] {
        let authority = api.authority();
        for data in [at.as_str(), "@-"] {
            let output = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
                .args(["request", "PUT", &api.url("/"), "-d", data])
                .env("TOKEND_SOCKET", daemon(&api.url("/")).socket())
                .env("SSL_CERT_FILE", &authority)
                .stdin(File::open(&file).unwrap())
                .output();
            let ended = ended(&output.unwrap());
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (22, "too large"),
                "{data}: {}",
                ended.stderr
            );
            assert!(ended.stderr.contains("HTTP 413"), "{}", ended.stderr);
        }
    }
    // Without an answer it is a broken connection.
    let api = Api::start(|conversation| {
        conversation.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        conversation.take(64 * 1024)?;
        conversation.reset();
        Ok(())
    });
    let ended = request(&api, &["PUT", &api.url("/"), "-d", &at]);
    assert_eq!((ended.code, ended.stdout.as_str()), (75, ""));
    assert!(
        ended.stderr.contains("the connection to"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_answer_is_printed_as_it_comes() {
    let (proceed, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let api = Api::start(move |conversation| {
        conversation
            .send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        wait.lock().unwrap().recv().map_err(io::Error::other)?;
        conversation.send(b"4\r\nlast\r\n0\r\n\r\n")
    });
    let daemon = daemon(&api.url("/"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
        .args(["request", "GET", &api.url("/")])
        .env("TOKEND_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 5];
    io::Read::read_exact(&mut stdout, &mut first).unwrap();
    assert_eq!(&first, b"first");
    proceed.send(()).unwrap();
    assert_eq!(io::read_to_string(&mut stdout).unwrap(), "last");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_stream_that_stops_is_waited_for_as_long_as_was_said() {
    let api = generous();
    let daemon = daemon(&api.url("/"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
        .args([
            "request",
            "POST",
            &api.url("/"),
            "-d",
            "@-",
            "--max-time",
            "2s",
        ])
        .env("TOKEND_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"half").unwrap();
    let said = io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75), "{said}");
    drop(stdin);
    let refused = tokenctl(&daemon, &["request", "POST", &api.url("/"), "-d", "@"]);
    assert_eq!(refused.code, 74, "{}", refused.stderr);
}
