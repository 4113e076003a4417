//! Where a file may be cut, and where not.

use super::*;

const FILE: &str = r#"socket = "a"
[limits]
connections = 5 # [account.comment]
[account.one]
provider = '''
[account.in-a-string]
'''
allow = [
  [1],
[2]
]
  [ account . "two" ] # spaces
provider = "x"
[account.one.options]
a = 1
[defaults]
[[account.list]]
[account]
[account.two]
"#;

#[test]
fn headers_are_found_and_everything_else_is_not_mistaken_for_one() {
    let split = split(FILE);
    assert_eq!(
        split.rest.text(FILE),
        "socket = \"a\"\n[limits]\nconnections = 5 # [account.comment]\n[defaults]\n[[account.list]]\n[account]\n"
    );
    let [batch] = &*split.batches else {
        panic!("all of it fits one batch")
    };
    let accounts: Vec<_> = batch.each().iter().map(|runs| runs.text(FILE)).collect();
    assert_eq!(accounts.len(), 3, "{accounts:?}");
    assert!(
        accounts[0].starts_with("[account.one]")
            && accounts[0].ends_with("[account.one.options]\na = 1\n")
    );
    assert!(accounts[0].contains("in-a-string") && accounts[0].contains("[2]"));
    assert_eq!(
        accounts[1],
        "[ account . \"two\" ] # spaces\nprovider = \"x\"\n"
    );
    assert_eq!(accounts[2], "[account.two]\n");
}

#[test]
fn places_in_a_piece_are_found_again_in_the_file() {
    let split = split(FILE);
    let pieces = [
        split.rest,
        split.batches[0].whole(),
        split.batches[0].each()[0].clone(),
    ];
    for piece in pieces {
        let text = piece.text(FILE).into_owned();
        for (at, c) in text.char_indices() {
            let place = piece.in_file(&(at..at + c.len_utf8()));
            assert_eq!(FILE[place].chars().next(), Some(c));
        }
        assert!(piece.in_file(&(text.len()..text.len())).start <= FILE.len());
    }
}

#[test]
fn an_account_that_stands_twice_is_told_with_both_places() {
    let file = "[account.a]\nx=1\n[account.b]\n[account.a]\nx=2\n[account.a.options]\n";
    let split = split(file);
    assert_eq!(split.twice.len(), 1);
    let (first, second) = split.twice[0].clone();
    assert_eq!((first, second), (9..10, 37..38));
    assert_eq!(
        split.batches[0].each()[0].text(file),
        "[account.a]\nx=1\n[account.a.options]\n"
    );
}

#[test]
fn many_accounts_make_several_batches() {
    let file: String = (0..10_000)
        .map(|n| format!("[account.a{n}]\nprovider = \"x\"\n"))
        .collect();
    let split = split(&file);
    assert!(split.batches.len() > 3);
    let count: usize = split.batches.iter().map(|batch| batch.each().len()).sum();
    assert_eq!(count, 10_000);
    let joined: String = split
        .batches
        .iter()
        .map(|batch| batch.whole().text(&file).into_owned())
        .collect();
    assert_eq!(joined, file);
}

#[test]
fn broken_text_is_cut_without_losing_any_of_it() {
    for file in [
        "",
        "[",
        "[account",
        "[account.",
        "a = [[[",
        "}}}]]]\n[account.a]",
        "\u{feff}[account.a]",
        "[account.a",
    ] {
        let split = split(file);
        let batches: usize = split
            .batches
            .iter()
            .map(|batch| batch.whole().text(file).len())
            .sum();
        assert_eq!(
            split.rest.text(file).len() + batches,
            file.len(),
            "{file:?}"
        );
    }
}
