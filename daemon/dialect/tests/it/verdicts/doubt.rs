//! What an answer, or none, says of a refresh token that was sent.

use super::*;

#[test]
fn a_rule_says_what_it_means_that_no_answer_came() {
    let none = dialect(PLAIN);
    for silence in [Silence::Closed, Silence::TimedOut] {
        assert!(none.read_silence(ExchangeKind::Login, silence).is_none());
    }
    let closes = dialect(&format!(
        "{PLAIN}[[login.rules]]\nno_answer = \"closed\"\nclass = \"credential-rejected\"\nsay = \"it hangs up on a wrong password\"\n[[rules]]\nno_answer = true\nclass = \"misbehaved\"\nprocessed = \"no\"\n"
    ));
    let word = |kind, silence| {
        let reply = closes.read_silence(kind, silence);
        reply.map(|reply| (reply.word(), message(&reply).to_string()))
    };
    let rejected = (
        "credential-rejected",
        "it hangs up on a wrong password".to_owned(),
    );
    let failed = ("misbehaved", "no answer came".to_owned());
    assert_eq!(word(ExchangeKind::Login, Silence::Closed), Some(rejected));
    assert_eq!(
        word(ExchangeKind::Login, Silence::TimedOut),
        Some(failed.clone())
    );
    assert_eq!(word(ExchangeKind::Refresh, Silence::Closed), Some(failed));
    // It matches no reply, not even an empty one.
    for status in [200, 204, 401, 500] {
        let before = answers(&none, status, &[], "");
        let after = answers(&closes, status, &[], "");
        let words =
            |replies: &[ProviderReply]| replies.iter().map(ProviderReply::word).collect::<Vec<_>>();
        assert_eq!(words(&before), words(&after), "{status}");
    }
}

#[test]
fn no_class_of_a_rule_takes_the_doubt_off_a_refresh_token_without_an_answer() {
    for (place, kinds) in [
        ("refresh.rules", &[ExchangeKind::Refresh][..]),
        ("rules", &[ExchangeKind::Refresh, ExchangeKind::Login]),
    ] {
        for class in [
            "busy",
            "credential-rejected",
            "misconfigured",
            "unrecognised",
        ] {
            let text = format!(
                "{PLAIN}[[{place}]]\nno_answer = true\nclass = \"{class}\"\nsay = \"it hung up\"\n"
            );
            let dialect = dialect(&text);
            for (&kind, silence) in kinds.iter().zip([Silence::Closed, Silence::TimedOut]) {
                let reply = dialect.read_silence(kind, silence).expect("the rule's");
                assert_eq!(message(&reply).to_string(), "it hung up");
                match kind {
                    ExchangeKind::Login => assert_eq!(reply.word(), class),
                    ExchangeKind::Refresh => {
                        assert!(may_have_been_processed(&reply), "{class}: {reply:?}")
                    }
                }
            }
        }
    }
}

#[test]
fn who_answers_in_front_of_a_provider_does_not_take_the_doubt_off_a_refresh_token() {
    let text = format!("{PLAIN}[[rules]]\nstatus = \"200-599\"\nclass = \"unrecognised\"\n");
    let dialect = dialect(&text);
    for status in [200, 204, 502, 504, 520, 524] {
        let [login, refresh] = &answers(&dialect, status, &[], "")[..] else {
            panic!("two requests");
        };
        assert_eq!(login.word(), "unrecognised", "{status}");
        assert!(may_have_been_processed(refresh), "{status}: {refresh:?}");
    }
    for status in [302, 404, 500, 503] {
        for reply in answers(&dialect, status, &[], "") {
            assert_eq!(reply.word(), "unrecognised", "{status}");
        }
    }
}

#[test]
fn no_class_of_a_rule_takes_the_doubt_off_a_refresh_token_where_a_gateway_answered() {
    use tokend_dialect::SpentTokens;
    let spent = |reply: &ProviderReply| reply.provider_message().map(|message| message.spent);
    let body = r#"{"code": "E1", "message": "bad gateway"}"#;
    let json = [("content-type", "application/json")];
    for class in ["busy", "credential-rejected", "misconfigured"] {
        let rule =
            |what: &str| dialect(&format!("{PLAIN}[[rules]]\n{what}\nclass = \"{class}\"\n"));
        for what in [
            "status = \"200-599\"",
            "status = \"5xx\"\ncode = \"E1\"\nat = \"/code\"",
            "text = \"gateway\"",
        ] {
            for status in [502, 504, 520, 524] {
                let [login, refresh] = &answers(&rule(what), status, &json, body)[..] else {
                    panic!("two requests");
                };
                assert_eq!((login.word(), refresh.word()), (class, class), "{what}");
                assert_eq!(spent(login), Some(SpentTokens::Nothing));
                assert_eq!(
                    spent(refresh),
                    Some(SpentTokens::RefreshToken),
                    "{what} {status}"
                );
            }
        }
        // A success says nothing by its status, and names an error in words of the provider's own.
        for (what, expected) in [
            ("status = 200", SpentTokens::RefreshToken),
            (
                "status = 200\ncode = \"E1\"\nat = \"/code\"",
                SpentTokens::Nothing,
            ),
            ("code = \"E1\"\nat = \"/code\"", SpentTokens::Nothing),
            (
                "status = 200\ntext = \"gateway\"\nprocessed = \"maybe\"",
                SpentTokens::RefreshToken,
            ),
            ("status = 200\nprocessed = \"no\"", SpentTokens::Nothing),
        ] {
            let refresh = &answers(&rule(what), 200, &json, body)[1];
            assert_eq!(
                (refresh.word(), spent(refresh)),
                (class, Some(expected)),
                "{what}"
            );
        }
        let certain = rule("status = 502\nprocessed = \"no\"");
        for reply in answers(&certain, 502, &json, body) {
            assert_eq!(
                (reply.word(), spent(&reply)),
                (class, Some(SpentTokens::Nothing))
            );
        }
    }
}

#[test]
fn a_token_of_a_foreign_type_was_brought_by_a_refresh_that_was_done() {
    use tokend_dialect::SpentTokens;
    for (refresh_token, expected) in [
        ("null", SpentTokens::AccessToken),
        ("\"next\"", SpentTokens::AccessToken),
        (r#"{"a": 1}"#, SpentTokens::RefreshToken),
    ] {
        let body = format!(
            r#"{{"access_token": "a", "token_type": "DPoP", "refresh_token": {refresh_token}}}"#
        );
        let [login, refresh] = &answers(&dialect(PLAIN), 200, &[], &body)[..] else {
            panic!("two requests");
        };
        let spent = |reply: &ProviderReply| reply.provider_message().map(|message| message.spent);
        assert_eq!(spent(login), Some(SpentTokens::Nothing), "{body}");
        assert_eq!(spent(refresh), Some(expected), "{body}");
        assert_eq!(refresh.word(), "misconfigured", "{body}");
    }
}

#[test]
fn a_rule_for_no_answer_has_nothing_of_an_answer() {
    for (rule, message) in [
        (
            "no_answer = true\nstatus = 401",
            "a rule with `no_answer` has no `status`",
        ),
        (
            "no_answer = \"closed\"\ntext = \"x\"",
            "a rule with `no_answer` has no `status`",
        ),
        ("no_answer = false", "would match every reply"),
        ("no_answer = \"close\"", "did you mean `closed`?"),
    ] {
        let text = format!("{PLAIN}[[login.rules]]\n{rule}\nclass = \"credential-rejected\"\n");
        let error = try_dialect(&text).expect_err(rule);
        let mistakes: Vec<String> = error
            .diagnostics()
            .kept()
            .iter()
            .map(|it| format!("{} {}", it.message(), it.help().unwrap_or_default()))
            .collect();
        assert!(
            mistakes.join("\n").contains(message),
            "{rule}: {mistakes:?}"
        );
    }
}
