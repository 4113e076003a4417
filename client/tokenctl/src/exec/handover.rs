//! How the first tokens come to the updater.
//!
//! Owns the bytes between two processes of one tokenctl: for each token when it ends, its length and itself. They go through a socket that
//! has no name, because everything else that a process is given can be seen by others or stays behind.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use zeroize::Zeroizing;

/// More than a frame of the daemon can carry, for one token.
const LONGEST: usize = 1 << 20;

/// In place of the end of a token that has none.
const ENDLESS: u64 = u64::MAX;

/// A token, and when it ends on the clock that counts since the machine was started.
pub(super) type First<S> = (S, Option<Duration>);

/// Sends the tokens.
pub(super) fn send(tokens: &[First<&str>], mut to: impl Write) -> io::Result<()> {
    for (secret, ends) in tokens {
        let ends = ends.map(|ends| u64::try_from(ends.as_millis()));
        let ends = ends.transpose().map_err(io::Error::other)?;
        let length = u32::try_from(secret.len()).map_err(io::Error::other)?;
        to.write_all(&ends.unwrap_or(ENDLESS).to_be_bytes())?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(secret.as_bytes())?;
    }
    Ok(())
}

/// Takes so many tokens.
pub(super) fn take(
    count: usize,
    mut from: impl Read,
) -> io::Result<Vec<First<Zeroizing<Vec<u8>>>>> {
    let mut one = || {
        let (mut ends, mut length) = ([0; 8], [0; 4]);
        from.read_exact(&mut ends)?;
        from.read_exact(&mut length)?;
        let ends = Some(u64::from_be_bytes(ends)).filter(|ends| *ends != ENDLESS);
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut secret = Zeroizing::new(vec![0; length]);
        from.read_exact(&mut secret)?;
        Ok((secret, ends.map(Duration::from_millis)))
    };
    (0..count).map(|_| one()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_arrive_as_they_are_and_never_in_part() {
        let mut bytes = Vec::new();
        let ends = Some(Duration::from_millis(1_500));
        let sent = [("one", None), ("", ends), ("thr\nee", ends)];
        send(&sent, &mut bytes).unwrap();
        let taken = take(3, &*bytes).unwrap();
        let taken = taken
            .iter()
            .map(|(secret, ends)| (secret.as_slice(), *ends));
        let sent = sent.map(|(secret, ends)| (secret.as_bytes(), ends));
        assert_eq!(taken.collect::<Vec<_>>(), sent);
        for cut in 0..bytes.len() {
            let (short, _) = bytes.split_at(cut);
            assert!(take(3, short).is_err(), "{cut}");
        }
        assert!(take(1, &[255; 16][..]).is_err());
    }
}
