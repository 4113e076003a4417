//! Decompresses an answer, whether compression was requested or not.
//!
//! Owns `Content-Encoding`: gzip and deflate, one layer, in bounded memory. An encoding that it cannot read is left unchanged, with the
//! header, so that the dialect can report it.

use std::io::{ErrorKind, Read};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

/// The start of gzip data (RFC 1952), recognised even without a header that announces it.
const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];

/// The decompressed answer is too large.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The decompressed body. Its `Content-Encoding` is removed from `headers`.
pub(super) fn unpack(
    headers: &mut HeaderMap,
    body: Zeroizing<Vec<u8>>,
    max_body: usize,
) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
    let declared = headers.get(header::CONTENT_ENCODING);
    let declared = declared.map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
    let unpacked = match declared.as_deref() {
        _ if body.starts_with(GZIP) => read(GzDecoder::new(body.as_slice()), max_body)?,
        Some(b"deflate") => deflated(&body, max_body)?,
        // The header announces compression, but the body is not compressed.
        Some(b"gzip" | b"x-gzip" | b"identity" | b"") => Some(body.clone()),
        _ => None,
    };
    let Some(unpacked) = unpacked else {
        return Ok(body);
    };
    if declared.is_some() {
        let _read = headers.remove(header::CONTENT_ENCODING);
    }
    Ok(unpacked)
}

/// With the zlib header, as in the standard, or without, as some servers send it; or not compressed at all.
fn deflated(body: &[u8], max_body: usize) -> Result<Option<Zeroizing<Vec<u8>>>, TooLarge> {
    let is_zlib = matches!(body, [first, second, ..]
        if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0);
    if is_zlib {
        return read(ZlibDecoder::new(body), max_body);
    }
    if body
        .trim_ascii_start()
        .first()
        .is_some_and(|byte| b"{[<".contains(byte))
    {
        return Ok(Some(Zeroizing::new(body.to_vec())));
    }
    read(DeflateDecoder::new(body), max_body)
}

/// The whole data, or `None` if it is damaged. Data that was cut off gives its readable part: the part itself shows whether it is whole.
fn read(from: impl Read, max_body: usize) -> Result<Option<Zeroizing<Vec<u8>>>, TooLarge> {
    let mut all = Zeroizing::new(Vec::new());
    let read = from.take(max_body as u64 + 1).read_to_end(&mut all);
    match read.map_err(|error| error.kind()) {
        Ok(_) if all.len() > max_body => Err(TooLarge),
        Ok(_) => Ok(Some(all)),
        Err(ErrorKind::UnexpectedEof) => Ok((!all.is_empty()).then_some(all)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const JSON: &[u8] = br#"{"access_token":"at","refresh_token":"rt"}"#;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    fn bare(body: &[u8]) -> Vec<u8> {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    /// What is read, and whether the header is still there.
    fn unpacked(
        coding: Option<&str>,
        body: &[u8],
        max: usize,
    ) -> Result<(Vec<u8>, bool), TooLarge> {
        let mut headers = HeaderMap::new();
        if let Some(coding) = coding {
            let _none = headers.insert(header::CONTENT_ENCODING, coding.parse().unwrap());
        }
        let body = unpack(&mut headers, Zeroizing::new(body.to_vec()), max)?;
        Ok((
            body.to_vec(),
            headers.contains_key(header::CONTENT_ENCODING),
        ))
    }

    #[test]
    fn one_layer_of_packing_comes_off() {
        for (coding, body) in [
            (Some("gzip"), gzip(JSON)),
            (Some("GZip "), gzip(JSON)),
            (Some("x-gzip"), gzip(JSON)),
            (None, gzip(JSON)),
            (Some("identity"), gzip(JSON)),
            (Some("deflate"), gzip(JSON)),
            (Some("deflate"), zlib(JSON)),
            (Some("deflate"), bare(JSON)),
            (Some("deflate"), JSON.to_vec()),
            (Some("gzip"), JSON.to_vec()),
            (Some("identity"), JSON.to_vec()),
            (None, JSON.to_vec()),
        ] {
            let read = unpacked(coding, &body, 2048);
            assert_eq!(read, Ok((JSON.to_vec(), false)), "{coding:?}");
        }
        let twice = gzip(&gzip(JSON));
        assert_eq!(
            unpacked(Some("gzip"), &twice, 2048),
            Ok((gzip(JSON), false))
        );
    }

    #[test]
    fn what_becomes_larger_than_allowed_is_too_large_and_never_in_memory() {
        let bomb = vec![b' '; 1 << 20];
        for (coding, body) in [
            ("gzip", gzip(&bomb)),
            ("deflate", zlib(&bomb)),
            ("deflate", bare(&bomb)),
        ] {
            assert!(body.len() < 2048);
            assert_eq!(unpacked(Some(coding), &body, 2048), Err(TooLarge));
            assert!(unpacked(Some(coding), &body, 1 << 20).is_ok());
        }
    }

    #[test]
    fn what_is_cut_off_gives_what_it_has_and_what_is_damaged_stays_as_it_is() {
        let cut = gzip(JSON);
        let cut = &cut[..cut.len() - 8];
        assert_eq!(
            unpacked(Some("gzip"), cut, 2048),
            Ok((JSON.to_vec(), false))
        );
        let mut damaged = gzip(JSON);
        let checksum = damaged.len() - 5;
        damaged[checksum] ^= 1;
        assert_eq!(
            unpacked(Some("gzip"), &damaged, 2048),
            Ok((damaged.clone(), true))
        );
        for coding in ["br", "zstd", "gzip, br", "nonsense"] {
            assert_eq!(
                unpacked(Some(coding), b"\x0b\x02", 2048),
                Ok((b"\x0b\x02".to_vec(), true))
            );
        }
    }
}
