use std::time::Duration;

use super::super::reply::tests::token;
use super::super::request::{Freshness, Whose};
use super::super::secret_box::tests::known_key;
use super::*;

/// A conversation whose private key is known, so that what was recorded can be opened.
fn known() -> Conversation {
    Conversation {
        known: Some(known_key()),
        ..Conversation::new()
    }
}

/// What clients sent to a stand-in with that key: `oidc-token` 4.2.6 of Debian 12 and `liboidcagent` 0.6.0 of PyPI, on 2026-11-30.
const OIDC_TOKEN: [&str; 2] = [
    "LE6f4Y6klR8hGh4zEHGdee7EAoPzcbwDNXCx6MaWP0M=",
    "95:ZbAeNAMuVO3acvWadozpAfP76cfNneyE:mpVT80iDXaD2/urDNupAX5hORpQWYdLuDbzX2GVoSH+TNiMhv0AbBZYdhBN80kyDkWyaPaL29fsQwTRfBOeWEYjfUBTNUZwAR8pA4tfM0fcEAeA/QRFI4N0JY1vT9JLPyhHRsQvILK5Y56C/sYJr",
];
const LIBOIDCAGENT: [&str; 2] = [
    "nIfRt+WH/5LLlpsHPUw/qWD3hj+TnkVJnuBEnnAvoQI=",
    "99:NzKt+icWSAK1zE+SAtlYE619pGVENuzQ:5l+sEXRfJ+4bgTIpbWgiTUtSRgNLv8+gr+dDpImUSyRFUPm2C2gK4Dv0NPN4Uj8hvva3v2bofz3sr9mcmhhkxIcwRAe7msxCrSESxJ9M3Cx92ahwoYBjhzsK/XMXVBV9s5ak80ck4TACZ7dLMKJ05GhJfA==",
];
/// What `oidc-token` was answered by the stand-in, which sealed it with PyNaCl and this nonce.
const ANSWER: &str = "102:ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7:JSP0ZcLGA8HCcqG4uMFz5beSjTVNObZ3aKPPW+tgzWPqg4V3HRDyMpAN46AvxyFHo1zB7YXCpBUtBw8es1/4Y5ljqyKdUi2r/InpSCxPzhUKcDNTQ8qisnXexRqBtai4l6qzsPDzZ8EmhZvGZ2JSaDPBG7B6Sg==";
const NONCE: [u8; 24] = *b"defghijklmnopqrstuvwxyz{";

fn ads(freshness: Freshness) -> Step {
    Step::Asked(Ok(Request::AccessToken {
        of: Whose::Account("ads".parse().unwrap()),
        freshness,
    }))
}

/// Has a client say this piece by piece.
fn say(conversation: &mut Conversation, text: &str, piece: usize) -> Step {
    let mut step = Step::More;
    for piece in text.as_bytes().chunks(piece) {
        assert_eq!(step, Step::More, "it is not over before its end");
        step = conversation.take(piece).unwrap();
    }
    step
}

#[test]
fn recorded_conversations_of_real_clients_are_read() {
    let thirty = Freshness::AtLeast(Duration::from_secs(30));
    for (recorded, freshness) in [(OIDC_TOKEN, Freshness::AnyValid), (LIBOIDCAGENT, thirty)] {
        for piece in [1, 7, 1000] {
            let mut conversation = known();
            let [key, request] = recorded;
            assert!(!conversation.has_begun());
            let own = b"B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=".to_vec();
            assert_eq!(say(&mut conversation, key, piece), Step::Send(own));
            assert!(conversation.has_begun());
            assert_eq!(say(&mut conversation, request, piece), ads(freshness));
        }
    }
}

#[test]
fn an_answer_is_what_libsodium_makes() {
    let mut conversation = known();
    say(&mut conversation, OIDC_TOKEN[0], 44);
    let key = conversation.key.as_ref().unwrap();
    let json = token().json();
    let recorded = String::from_utf8(key.seal_with(NONCE, &json).unwrap()).unwrap();
    assert_eq!(recorded, ANSWER);
    let answer = conversation.answer(&token()).unwrap();
    let parts = encrypted(&answer).unwrap().unwrap();
    assert_eq!(key.open(parts.nonce, parts.secret_box).unwrap(), json);
}

#[test]
fn a_conversation_in_clear_is_answered_in_clear() {
    for piece in [1, 1000] {
        let mut conversation = Conversation::new();
        let request = r#"{"request":"access_token","account":"ads"}"#;
        assert_eq!(
            say(&mut conversation, request, piece),
            ads(Freshness::AnyValid)
        );
        assert_eq!(conversation.answer(&token()).unwrap(), token().json());
        // The rest of the line, and whatever else, is not read.
        assert_eq!(conversation.take(b"\n{}").unwrap(), Step::More);
    }
}

#[test]
fn no_answer_has_a_multiple_of_4096_bytes() {
    let mut encrypted = known();
    say(&mut encrypted, OIDC_TOKEN[0], 44);
    let mut padded = 0;
    for conversation in [Conversation::new(), encrypted] {
        for length in 2900..4200 {
            let reply = Reply::Status("x".repeat(length));
            let answer = conversation.answer(&reply).unwrap();
            assert_ne!(answer.len() % 4096, 0);
            padded += usize::from(answer.len() % 4096 < 5);
        }
    }
    assert!(padded > 0, "some would have had");
}

#[test]
fn what_is_no_conversation_is_refused_in_clear() {
    let too_long = "{".repeat(LONGEST + 1);
    for text in ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}", &too_long] {
        let mut conversation = Conversation::new();
        let step = conversation.take(text.as_bytes()).unwrap();
        assert_eq!(step, Step::Asked(Err(Refusal::NotARequest)));
        let answer = conversation.answer(&Refusal::NotARequest.reply()).unwrap();
        assert!(answer.starts_with(br#"{"status":"failure","error":"Bad Request: "#));
    }
    let low_order = format!("{}=", "A".repeat(43));
    let step = Conversation::new().take(low_order.as_bytes()).unwrap();
    assert_eq!(step, Step::Asked(Err(Refusal::SuspiciousKey)));
    let other = OIDC_TOKEN[1].replace("JWYdLu", "JWYdLv");
    for text in ["hello", "12000000:", &other.replace(":mpVT", ":npVT")] {
        let mut conversation = known();
        say(&mut conversation, OIDC_TOKEN[0], 44);
        let step = conversation.take(text.as_bytes()).unwrap();
        assert_eq!(step, Step::Asked(Err(Refusal::NotDecrypted)), "{text}");
        let answer = conversation.answer(&Refusal::NotDecrypted.reply()).unwrap();
        assert!(answer.starts_with(b"{"));
    }
}

#[test]
fn hostile_bytes_never_bring_a_request_for_a_token() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..2_000 {
        let mut conversation = Conversation::new();
        for _ in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let bytes = state.to_be_bytes();
            let text = [b"{\"request\":[".as_slice(), &bytes, b"}]:=\""];
            let step = conversation.take(text.concat().as_slice()).unwrap();
            assert!(!matches!(step, Step::Asked(Ok(_))), "{step:?}");
        }
    }
}

#[test]
fn blanks_before_a_message_are_not_kept_and_not_without_end() {
    let blanks = " \n".repeat(LONGEST / 2);
    for begun in [false, true] {
        let mut conversation = known();
        if begun {
            say(&mut conversation, OIDC_TOKEN[0], 44);
        }
        assert_eq!(say(&mut conversation, &blanks, 7), Step::More);
        assert_eq!(conversation.input.len(), 0);
        let step = say(&mut conversation, " ", 1);
        assert_eq!(step, Step::Asked(Err(Refusal::NotARequest)));
    }
    let mut conversation = known();
    let (few, [key, request]) = (&blanks[..100], OIDC_TOKEN);
    let own = say(&mut conversation, &format!("{few}{key}"), 1);
    assert!(matches!(own, Step::Send(_)));
    let asked = say(&mut conversation, &format!("{few}{request}"), 1);
    assert_eq!(asked, ads(Freshness::AnyValid));
}
