//! `request` on a terminal: progress that comes and goes, and no byte of a server that moves the cursor.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use super::daemon;
use crate::api::Api;
use crate::terminal::Terminal;

#[test]
fn a_large_transfer_into_a_file_shows_how_far_it_is() {
    let (proceed, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let api = Api::start(move |conversation| {
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")?;
        conversation.send(&[b'x'; 2_000_000])?;
        wait.lock().unwrap().recv().map_err(std::io::Error::other)?;
        conversation.send(&[b'x'; 2_000_000])
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer");
    let line = format!("request GET {} -o {}", api.url("/"), file.display());
    let daemon = daemon(&api.url("/"));
    let mut terminal = Terminal::start(&daemon, &line);
    terminal.wait_for(" MB of 4.0 MB (");
    proceed.send(()).unwrap();
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown:?}");
    assert!(shown.ends_with("\u{1b}[K"), "{shown:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 4_000_000);
}

#[test]
fn an_answer_on_the_terminal_is_text_and_nothing_else() {
    let api = Api::start(|conversation| {
        conversation.answer("200 OK", "a\u{1b}]0;x\u{7}\u{1b}[2Jb\r\nc\n")
    });
    let daemon = daemon(&api.url("/"));
    let (code, shown) = Terminal::start(&daemon, &format!("request GET {}", api.url("/"))).end();
    assert_eq!((code, shown.as_str()), (0, "a?]0;x??[2Jb\nc\n"));
}
