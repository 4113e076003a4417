//! A hundred thousand accounts.

use std::fmt::Write as _;

use super::*;

const COUNT: usize = 100_000;

#[test]
fn a_hundred_thousand_accounts_share_what_they_have_in_common() {
    let mut text = String::new();
    for n in 0..COUNT {
        writeln!(
            text,
            "[account.a{n:06}]\nprovider = \"ad-verification\"\nbase_url = \"http://127.0.0.1:{port}\"\nusername = \"user{n}\"\n\
             password = {{ file = \"/run/secrets/{n}\" }}\nallow = [{{ user = \"root\" }}, {{ group = \"ci\" }}]",
            port = 8000 + n % 8,
        )
        .expect("a string");
    }
    let config = Site::new(&text).good();
    assert_eq!(config.accounts.len(), COUNT);

    let first = account(&config, "a000000");
    let last = account(&config, &format!("a{:06}", COUNT - 8));
    assert_eq!(last.field("username"), Some("user99992"));
    assert!(Arc::ptr_eq(&first.allow, &last.allow));
    assert!(Arc::ptr_eq(&first.pacing, &last.pacing));
    assert!(Arc::ptr_eq(&first.endpoint, &last.endpoint));
    assert!(Arc::ptr_eq(&first.dialect, &last.dialect));
    assert!(Arc::ptr_eq(&first.fields[0].0, &last.fields[0].0));
    assert_ne!(first.identity, last.identity);
    // What is not shared must stay small: this times a hundred thousand is resident for good.
    assert!(size_of::<Account>() <= 160, "{}", size_of::<Account>());
}

#[test]
fn many_mistakes_are_counted_and_not_all_kept() {
    let text: String = (0..1000)
        .map(|n| format!("[account.a{n}]\nprovidr = \"oauth2\"\n"))
        .collect();
    let error = Site::new(&text).load().expect_err("nothing in it is right");
    assert_eq!(error.diagnostics().count(), 3000);
    assert!(error.diagnostics().kept().len() <= 50);
    assert!(
        error
            .to_string()
            .ends_with("(and 2999 more mistakes; run tokend check)"),
        "{error}"
    );
}

#[test]
fn the_time_for_mistakes_grows_with_the_file_and_not_with_its_square() {
    const COUNT: usize = 20_000;
    let mut text = String::new();
    // Accounts that stand twice, and tables nobody knows between them, so that every piece of the file is short.
    for n in (0..COUNT).chain(0..COUNT) {
        writeln!(text, "[account.a{n}]\n[x{n}.y{}]", text.len()).expect("a string");
    }
    let error = Site::new(&text).load().expect_err("nothing in it is right");
    assert_eq!(error.diagnostics().count(), 4 * COUNT);
    let last = error.diagnostics().kept().last().expect("some are kept");
    assert!(last.to_string().contains("unknown key `x"), "{last}");
}

#[test]
fn a_key_of_any_length_is_told_within_bounds() {
    let key = "p".repeat(1 << 20);
    let error = Site::new(&format!("[account.a]\n{key} = 1\n"))
        .load()
        .expect_err("an unknown key");
    let last = error
        .diagnostics()
        .kept()
        .last()
        .expect("a report")
        .to_string();
    assert!(last.contains("unknown key `ppp"), "{last}");
    assert!(last.len() < 5000, "{} bytes", last.len());
}
