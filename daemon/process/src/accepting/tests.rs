//! That accepting goes on after a refusal, and ends when it is to end.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock of the test's runtime, which stands still but for rests"
)]

use std::cell::{Cell, RefCell};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;

/// The loop over what `accept` is answered, one after the other; `last` ends it, and nobody connects afterwards.
async fn accepted(answers: Vec<io::Result<u8>>) -> (Vec<u8>, usize, Duration) {
    let began = Instant::now();
    let (last, end) = oneshot::channel::<()>();
    let (mut answers, mut last) = (answers.into_iter(), Some(last));
    let (welcomed, refused) = (RefCell::new(Vec::new()), Cell::new(0));
    accept_until(
        async { drop(end.await) },
        || {
            let next = answers.next();
            if next.is_none() {
                drop(last.take());
            }
            async {
                match next {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        },
        |stream| welcomed.borrow_mut().push(stream),
        |_| refused.set(refused.get() + 1),
    )
    .await;
    (welcomed.into_inner(), refused.get(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_it_rests_and_goes_on() {
    let no = || Err(io::Error::other("no descriptors"));
    let (welcomed, refused, took) = accepted(vec![Ok(1), no(), no(), Ok(2), Ok(3)]).await;
    assert_eq!((welcomed, refused), (vec![1, 2, 3], 2));
    assert!(took >= 2 * REST && took < 3 * REST, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_connections_come_without_a_pause() {
    let stopped = Cell::new(0_u32);
    let end = std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        match stopped.get() {
            0 => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(()),
        }
    });
    // As much as a listener does when connections wait: it is ready, and gives others a turn now and then.
    let accept = || async {
        tokio::task::yield_now().await;
        Ok(())
    };
    let welcome = |()| stopped.set(stopped.get() + 1);
    accept_until(end, accept, welcome, |_| {}).await;
    assert_eq!(stopped.get(), 1, "none after it was told to end");
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_it_rests() {
    let began = Instant::now();
    let end = tokio::time::sleep(REST / 2);
    let accept = || async { Err::<(), _>(io::Error::other("no descriptors")) };
    accept_until(end, accept, |()| {}, |_| {}).await;
    assert!(began.elapsed() < REST);
}
