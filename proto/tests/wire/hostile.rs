//! A peer may send anything: no bytes cause a panic, a huge allocation or a wrong message.

use proptest::prelude::*;
use tokend_proto::*;

use crate::samples::{self, payload, requests, responses};

#[test]
fn a_frame_cut_at_any_byte_is_refused() {
    for (variant, frame) in requests() {
        let whole = payload(&frame);
        for cut in 0..whole.len() {
            assert!(
                decode_client(&whole[..cut]).is_err(),
                "{variant} cut at {cut}"
            );
        }
    }
    for (variant, frame) in responses() {
        let whole = payload(&frame);
        for cut in 0..whole.len() {
            assert!(
                decode_server(&whole[..cut]).is_err(),
                "{variant} cut at {cut}"
            );
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for (variant, frame) in requests() {
        let mut long = payload(&frame);
        long.push(0);
        assert!(decode_client(&long).is_err(), "{variant}");
    }
    for (variant, frame) in responses() {
        let mut long = payload(&frame);
        long.push(0);
        assert!(decode_server(&long).is_err(), "{variant}");
    }
}

/// Each eight bytes in turn claim to be an enormous length; those that are one are refused without allocating it.
#[test]
fn lying_lengths_are_refused() {
    for claim in [u64::MAX, 1 << 60, 1 << 32, MAX_FRAME as u64] {
        for (_, frame) in requests() {
            for_each_overwritten(&payload(&frame), claim, |bytes| drop(decode_client(bytes)));
        }
        for (_, frame) in responses() {
            for_each_overwritten(&payload(&frame), claim, |bytes| drop(decode_server(bytes)));
        }
    }
    let hello = payload(&requests()[0].1);
    let mut lying = hello.clone();
    lying[22..30].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    assert_eq!(
        hello[22..30],
        14_u64.to_le_bytes(),
        "the length of the client's name is here"
    );
    assert!(matches!(
        decode_client(&lying),
        Err(WireError::Malformed(_))
    ));
}

#[test]
fn headers_are_checked_before_anything_is_read() {
    assert_eq!(frame_len(1_u32.to_le_bytes()), Ok(1));
    assert_eq!(frame_len((MAX_FRAME as u32).to_le_bytes()), Ok(MAX_FRAME));
    assert_eq!(frame_len([0; 4]), Err(WireError::Empty));
    let too_long = MAX_FRAME as u32 + 1;
    assert_eq!(
        frame_len(too_long.to_le_bytes()),
        Err(WireError::TooLong {
            len: too_long.into()
        })
    );
    assert_eq!(
        frame_len(*b"GET "),
        Err(WireError::TooLong { len: 0x2054_4547 })
    );
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let done = |len| ServerFrame {
        id: RequestId(1),
        response: Response::Done {
            message: "x".repeat(len),
        },
    };
    let overhead = payload(&done(0)).len();
    let mut out = b"before".to_vec();
    let refused = encode(&done(MAX_FRAME - overhead + 1), &mut out);
    assert_eq!(
        refused,
        Err(WireError::TooLong {
            len: MAX_FRAME as u64 + 1
        })
    );
    assert_eq!(out, b"before");
    encode(&done(MAX_FRAME - overhead), &mut out).unwrap();
    assert_eq!(out.len(), 6 + HEADER_LEN + MAX_FRAME);
}

#[test]
fn names_and_secrets_are_checked_when_decoded() {
    let forget = |name: &[u8]| {
        let len = (name.len() as u64).to_le_bytes();
        [&7_u64.to_le_bytes()[..], &8_u32.to_le_bytes(), &len, name].concat()
    };
    assert!(decode_client(&forget(b"ads")).is_ok());
    for bad in [&b""[..], b"../etc", b"a\0b", b"\xff\xfe", &[b'x'; 65]] {
        assert!(
            matches!(decode_client(&forget(bad)), Err(WireError::Malformed(_))),
            "{bad:?}"
        );
    }
    let secret = |len: usize| {
        let reject = Request::Login {
            account: samples::name("a"),
            secret: LoginSecret::Password(samples::secret("")),
        };
        let mut bytes = payload(&ClientFrame {
            id: RequestId(1),
            request: reject,
        });
        let at = bytes.len() - 8;
        bytes[at..].copy_from_slice(&(len as u64).to_le_bytes());
        bytes.extend(std::iter::repeat_n(b'x', len));
        decode_client(&bytes)
    };
    assert!(secret(SecretText::MAX_LEN).is_ok());
    let refused = secret(SecretText::MAX_LEN + 1).unwrap_err().to_string();
    assert!(refused.contains("secret is 49153 bytes long"), "{refused}");
    assert!(!refused.contains("xx"), "{refused}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        drop(decode_client(&bytes));
        drop(decode_server(&bytes));
    }

    #[test]
    fn damaged_messages_never_panic(which in 0_usize..19, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut frames: Vec<_> = requests().iter().map(|(_, frame)| payload(frame)).collect();
        frames.extend(responses().iter().map(|(_, frame)| payload(frame)));
        let bytes = frames.get_mut(which).expect("there are nineteen samples");
        let at = at.index(bytes.len());
        bytes[at] = to;
        // A payload that still decodes is a message like any other: it encodes to the same bytes.
        // Except for an unknown kind, which is skipped.
        if let Ok(frame) = decode_client(bytes) && !matches!(frame.request, Request::Other(_)) {
            prop_assert_eq!(&payload(&frame), &*bytes);
        }
        if let Ok(frame) = decode_server(bytes) && !matches!(frame.response, Response::Other(_)) {
            prop_assert_eq!(&payload(&frame), &*bytes);
        }
    }

    #[test]
    fn a_frame_buffer_survives_any_stream(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
        let mut buffer = FrameBuffer::new();
        'stream: for chunk in chunks {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let taken = buffer.push(rest);
                prop_assert!(taken > 0);
                rest = &rest[taken..];
                loop {
                    match buffer.next_frame() {
                        Ok(Some(payload)) => prop_assert!(!payload.is_empty() && payload.len() <= MAX_FRAME),
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
            }
        }
    }
}

fn for_each_overwritten(bytes: &[u8], claim: u64, mut check: impl FnMut(&[u8])) {
    for at in 0..bytes.len().saturating_sub(8) {
        let mut lying = bytes.to_vec();
        if let Some(length) = lying.get_mut(at..at + 8) {
            length.copy_from_slice(&claim.to_le_bytes());
        }
        check(&lying);
    }
}
