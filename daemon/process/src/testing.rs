//! What tests of the daemon's crates share.

use std::collections::HashSet;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use crate::stack::DEPTH;

/// How long a test waits for anything. Only a failing test reaches it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
///
/// # Panics
/// When it does not come within [`DEADLINE`].
#[expect(clippy::expect_used, reason = "for tests")]
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("it never came")
}

/// How deep the work is done, so that reading the stack afterwards does not overwrite what the work left.
const DEEP: usize = 48 * 1024;
/// How much of the stack is read.
const READ: usize = DEPTH + DEEP;
/// The shortest piece of a secret that counts.
const PIECE: usize = 8;

/// Whether a piece of a secret is on the stack beneath, once work on it is over.
///
/// # Panics
/// When the stack cannot be read.
#[expect(clippy::unwrap_used, reason = "for tests")]
pub fn is_left(secret: &str, work: impl FnOnce() + Send) -> bool {
    std::thread::scope(|scope| {
        let alone = scope.spawn(|| {
            deep(work);
            let mut beneath = vec![0; READ];
            let here = (&raw const beneath).addr();
            let memory = File::open("/proc/self/mem").unwrap();
            let from = u64::try_from(here - READ).unwrap();
            memory.read_exact_at(&mut beneath, from).unwrap();
            let pieces: HashSet<_> = secret.as_bytes().windows(PIECE).collect();
            beneath.windows(PIECE).any(|found| pieces.contains(found))
        });
        alone.join().unwrap()
    })
}

/// Works so far down the stack.
#[inline(never)]
pub fn deep(work: impl FnOnce()) {
    let above = [0u8; DEEP];
    black_box(&above);
    work();
    black_box(&above);
}

/// A secret of so many bytes.
pub fn secret(length: usize) -> String {
    let letters = (b'!'..=b'~').cycle().map(char::from);
    letters.skip(length % 50).take(length).collect()
}
