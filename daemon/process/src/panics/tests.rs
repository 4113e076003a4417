//! Panics as they happen, with a secret in them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::*;

const SECRET: &str = "réfresh-token-0017";

/// As libraries do it whose errors quote what they were given.
fn refuse(text: &str) -> Result<(), String> {
    Err(text.to_owned())
}

/// What was told of what panicked meanwhile. The hook belongs to the whole process, so one at a time.
fn message(work: impl FnOnce()) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let _turn = lock(&TURN);
    let said = Arc::new(Mutex::new(String::new()));
    let ear = Arc::clone(&said);
    withhold(move |panic| lock(&ear).push_str(&format!("{panic}\n")));
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(work));
    drop(panic::take_hook());
    assert!(ended.is_err(), "it did not panic");
    lock(&said).clone()
}

#[test]
fn a_panic_tells_its_place_and_none_of_its_values() {
    let text = SECRET.to_owned();
    // In the middle of a character.
    let odd = text.find('é').map_or(0, |at| at + 1);
    let panics: [&dyn Fn(); 5] = [
        &|| panic!("this came: {text}"),
        &|| assert_eq!(&text[..odd], "r"),
        &|| refuse(&text).unwrap(),
        &|| refuse(&text).expect("a text that is taken"),
        &|| panic::panic_any(text.clone()),
    ];
    for work in panics {
        let message = message(work);
        assert!(message.contains("panics/tests.rs:"), "{message}");
        assert!(message.contains(WITHHELD), "{message}");
        for piece in ["fresh", "0017"] {
            assert!(!message.contains(piece), "{message}");
        }
    }
}

#[test]
fn a_sentence_of_the_source_is_told() {
    let message = message(|| panic!("a sentence without values"));
    assert!(
        message.ends_with(": a sentence without values\n"),
        "{message}"
    );
}

#[test]
fn how_a_task_ended_has_nothing_of_its_message() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let died = || {
        let task = runtime.spawn(async { panic!("this came: {SECRET}") });
        let error: JoinError = runtime.block_on(task).map(|(): ()| ()).unwrap_err();
        assert!(
            error.to_string().contains("0017"),
            "what is kept from the log"
        );
        assert_eq!(ending(&error), "it panicked");
        panic!("done");
    };
    let message = message(died);
    assert!(
        message.contains("done") && !message.contains("0017"),
        "{message}"
    );
}
