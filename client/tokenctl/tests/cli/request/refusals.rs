//! A token that the API refuses: reported once, and followed by the newer one once.

use super::{daemon, generous, kinds, new, old, strict, tokenctl};
use crate::api::Api;

#[test]
fn a_refused_token_is_reported_and_the_request_sent_again_with_the_newer_one() {
    let api = strict();
    let daemon = daemon(&api.url("/"));
    let ended = tokenctl(&daemon, &["request", "POST", &api.url("/"), "-d", "a=b"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "welcome"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("refused the token of ads with HTTP 401"),
        "{}",
        ended.stderr
    );
    let [first, second] = &api.seen()[..] else {
        panic!("{:?}", api.seen())
    };
    assert!(first.has_token(&old()) && second.has_token(&new()));
    assert_eq!(
        (&first.body[..], &second.body[..]),
        (&b"a=b"[..], &b"a=b"[..])
    );
    assert_eq!(
        kinds(&daemon),
        ["apis", "get", "refusal", "reject", "refusal"]
    );
}

#[test]
fn the_dialect_says_what_a_refusal_is() {
    // Also in an answer that claims success.
    for status in ["400 Bad Request", "200 OK"] {
        let api = Api::start(
            move |conversation| match conversation.seen.has_token(&new()) {
                true => conversation.answer("200 OK", "welcome"),
                false => conversation.answer(status, "{\"error\": \"token expired\"}"),
            },
        );
        let daemon = daemon(&api.url("/"));
        let ended = tokenctl(&daemon, &["request", "GET", &api.url("/")]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (0, "welcome"),
            "{}",
            ended.stderr
        );
        assert_eq!(api.seen().len(), 2);
    }
    let api = Api::start(|conversation| conversation.answer("400 Bad", "no such field"));
    let daemon = daemon(&api.url("/"));
    let ended = tokenctl(&daemon, &["request", "GET", &api.url("/")]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), api.seen().len()),
        (22, "no such field", 1)
    );
}

#[test]
fn a_second_refusal_is_final() {
    let api = Api::start(|conversation| conversation.answer("401 No", "never"));
    let daemon = daemon(&api.url("/"));
    let ended = tokenctl(&daemon, &["request", "GET", &api.url("/")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (22, "never"));
    assert!(
        ended.stderr.contains("refused the newer token as well"),
        "{}",
        ended.stderr
    );
    assert_eq!(api.seen().len(), 2);
    let rejects = kinds(&daemon)
        .iter()
        .filter(|kind| **kind == "reject")
        .count();
    assert_eq!(rejects, 1);
}

#[test]
fn without_a_token_the_code_is_that_of_get() {
    let api = generous();
    let daemon = daemon(&api.url("/"));
    let ended = tokenctl(
        &daemon,
        &["request", "--account=down", "GET", &api.url("/")],
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (79, ""));
    assert!(ended.stderr.contains("needs a login"), "{}", ended.stderr);
    assert_eq!(api.seen().len(), 0);
    // A token that was refused, and no newer one.
    let api = strict();
    let daemon = super::daemon(&api.url("/"));
    let ended = tokenctl(
        &daemon,
        &["request", "--account=sour", "GET", &api.url("/")],
    );
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (79, ""),
        "{}",
        ended.stderr
    );
    assert_eq!(api.seen().len(), 1);
}
