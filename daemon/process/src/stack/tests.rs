//! Reads this thread's own stack, beneath the frames that are there, as whoever got hold of the memory would.

use std::hint::black_box;

use aws_lc_rs::hmac;

use super::*;
use crate::testing::{deep, is_left, secret};

/// Puts a secret into its own frame.
#[inline(never)]
fn copy(secret: &str) {
    let mut place = [0u8; 256];
    for (to, from) in place.iter_mut().zip(secret.bytes()) {
        *to = from;
    }
    black_box(&place);
}

fn hash(secret: &str) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key");
    black_box(hmac::sign(&key, secret.as_bytes()));
}

#[test]
fn what_was_worked_on_is_on_the_stack_and_is_wiped_from_it() {
    // Of a whole number of blocks a hash keeps none.
    for length in [17, 40, 100, 119, 200] {
        let secret = secret(length);
        assert!(is_left(&secret, || copy(&secret)), "{length}");
        assert!(!is_left(&secret, || wiped(|| copy(&secret))), "{length}");
        assert!(is_left(&secret, || hash(&secret)), "{length}");
        assert!(!is_left(&secret, || wiped(|| hash(&secret))), "{length}");
    }
}

#[test]
fn work_that_panics_leaves_nothing_either() {
    let secret = secret(40);
    let panicking = || {
        // Unwinding has frames of its own.
        deep(|| copy(&secret));
        std::panic::resume_unwind(Box::new(()));
    };
    assert!(is_left(&secret, || drop(std::panic::catch_unwind(
        panicking
    ))));
    assert!(!is_left(&secret, || drop(std::panic::catch_unwind(|| {
        wiped(panicking)
    }))));
}

#[test]
fn each_step_of_work_that_goes_on_is_wiped() {
    let secret = secret(100);
    let run = |work: &mut dyn FnMut()| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        runtime.block_on(async { work() });
    };
    assert!(is_left(&secret, || run(&mut || copy(&secret))));
    let steps = || {
        let mut steps = Box::pin(wiped_throughout(async {
            copy(&secret);
            tokio::task::yield_now().await;
            copy(&secret);
            std::future::pending::<()>().await;
        }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..2 {
            assert!(steps.as_mut().poll(&mut context).is_pending());
        }
    };
    assert!(!is_left(&secret, steps));
}

#[test]
fn what_is_known_to_be_no_secret_only_afterwards_is_wiped_where_it_is_one() {
    let secret = secret(64);
    let read = || copy(&secret);
    assert!(is_left(&secret, || wiped_if(read, |()| false)));
    assert!(!is_left(&secret, || wiped_if(read, |()| true)));
}

#[test]
fn a_thread_that_rests_is_wiped_while_somebody_talks_to_a_provider_and_once_afterwards() {
    let secret = secret(64);
    let rested = || {
        copy(&secret);
        before_rest();
    };
    assert!(is_left(&secret, rested), "nobody ever talked");
    let talking = Conversation::begin();
    assert!(!is_left(&secret, rested));
    drop(talking);
    assert!(!is_left(&secret, rested), "this thread may have helped");
    let twice = || {
        before_rest();
        rested();
    };
    assert!(is_left(&secret, twice));
}
