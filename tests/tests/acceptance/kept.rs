//! This version reads what earlier versions left on a disk and on the wire.

use std::{fs, io::Write as _, os::unix::net::UnixStream, path::Path, time::Duration};

use tokend_harness::clock::{PATIENCE, wait_until};
use tokend_proto::{FrameBuffer, decode_client, decode_server};
use tokend_tests::kept::{self, Mood, Provider, TYPED_PASSWORD};

/// Both tests need the provider's one address, so they are one test and take turns.
#[test]
fn state_and_frames_of_earlier_versions_are_read() {
    let folders = kept::folders().unwrap();
    assert!(!folders.is_empty());
    for folder in folders {
        state_is_used_as_it_was_left(&folder);
        frames_are_understood(&folder);
    }
}

fn state_is_used_as_it_was_left(folder: &Path) {
    let provider = Provider::start(Mood::Answers).unwrap();
    let (site, _daemon) = kept::open(folder).unwrap();
    let what = folder.display();
    assert_eq!(site.get("unending").unwrap(), "at-unending", "{what}");
    assert_eq!(provider.asked("/unending"), [], "{what}: it was held");
    assert_eq!(site.get("typed").unwrap(), "at-typed", "{what}");
    let typed = field(&provider, "/typed", "password");
    assert_eq!(typed, TYPED_PASSWORD, "{what}: sealed and opened");
    assert_eq!(site.get("rotating").unwrap(), "at-rotating-2", "{what}");
    let rotated = field(&provider, "/rotating", "refresh_token");
    assert_eq!(rotated, "rt-rotating-2", "{what}: the spent one stays away");
    let refused = site.tokenctl(&["get", "refused"]).unwrap();
    assert_eq!(refused.code, Some(79), "{what}: {refused:?}");
    assert_eq!(provider.asked("/refused"), [], "{what}: refused once");
    // It cannot log in, so the refresh token in doubt is its only credential.
    wait_until("a token of the account in doubt", PATIENCE, || {
        site.get("doubt").is_ok()
    })
    .unwrap();
    let again = field(&provider, "/doubt", "refresh_token");
    assert_eq!(again, "rt-doubt-1", "{what}: kept through the kill");
    let log = site.log().unwrap();
    assert!(!log.contains("set aside"), "{what}: {log}");
    assert!(site.tokenctl(&["refresh", "rotating"]).unwrap().code == Some(0));
}

/// Every frame can be decoded, and a daemon answers every request with messages that can be decoded.
fn frames_are_understood(folder: &Path) {
    let _provider = Provider::start(Mood::Answers).unwrap();
    let (site, _daemon) = kept::open(folder).unwrap();
    let hello = unhex(&folder.join("frames/request-hello.hex"));
    for entry in fs::read_dir(folder.join("frames")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let payload = unhex(&path);
        if name.starts_with("response-") {
            decode_server(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
            continue;
        }
        let sent = decode_client(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut stream = UnixStream::connect(site.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut wanted = vec![0];
        write_frame(&mut stream, &hello);
        if name != "request-hello" {
            write_frame(&mut stream, &payload);
            wanted.push(sent.id.0);
        }
        let answered = answers(&mut stream, wanted.len());
        assert_eq!(answered, wanted, "{name}");
    }
}

fn write_frame(stream: &mut UnixStream, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap();
    stream.write_all(&length.to_le_bytes()).unwrap();
    stream.write_all(payload).unwrap();
}

/// The ids of the answers, in order, until there are `count`.
fn answers(stream: &mut UnixStream, count: usize) -> Vec<u64> {
    let mut buffer = FrameBuffer::new();
    let mut ids = Vec::new();
    while ids.len() < count {
        if let Some(payload) = buffer.next_frame().unwrap() {
            ids.push(decode_server(payload).unwrap().id.0);
            continue;
        }
        let read = std::io::Read::read(stream, buffer.spare()).unwrap();
        assert_ne!(read, 0, "the daemon hung up after {ids:?}");
        buffer.filled(read);
    }
    ids.sort_unstable();
    ids
}

fn unhex(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A field of the first request at a path.
fn field(provider: &Provider, path: &str, name: &str) -> String {
    let asked = provider.asked(path);
    let first = asked.first().unwrap();
    first.form.get(name).cloned().unwrap_or_default()
}
