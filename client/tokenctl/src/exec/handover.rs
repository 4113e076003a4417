//! How the first tokens come to the updater.
//!
//! Owns the bytes between two processes of one tokenctl: for each token its length and itself. They go through a socket that has no name,
//! because everything else that a process is given can be seen by others or stays behind.

use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroizing;

/// More than a frame of the daemon can carry, for one token.
const LONGEST: usize = 1 << 20;

/// Sends the tokens.
pub(super) fn send(secrets: &[&str], mut to: impl Write) -> io::Result<()> {
    for secret in secrets {
        let length = u32::try_from(secret.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(secret.as_bytes())?;
    }
    Ok(())
}

/// Takes so many tokens.
pub(super) fn take(count: usize, mut from: impl Read) -> io::Result<Vec<Zeroizing<Vec<u8>>>> {
    let mut one = || {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut secret = Zeroizing::new(vec![0; length]);
        from.read_exact(&mut secret)?;
        Ok(secret)
    };
    (0..count).map(|_| one()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_arrive_as_they_are_and_never_in_part() {
        let mut bytes = Vec::new();
        send(&["one", "", "thr\nee"], &mut bytes).unwrap();
        let taken = take(3, &*bytes).unwrap();
        let taken: Vec<&[u8]> = taken.iter().map(|it| it.as_slice()).collect();
        assert_eq!(taken, [&b"one"[..], b"", b"thr\nee"]);
        for cut in 0..bytes.len() {
            let (short, _) = bytes.split_at(cut);
            assert!(take(3, short).is_err(), "{cut}");
        }
        assert!(take(1, &[255; 8][..]).is_err());
    }
}
