//! What is kept, in which order, and how it is shown.

use super::*;

#[test]
fn what_could_be_a_secret_is_in_no_report() {
    let node = document(
        "password = \"hunter2\" # hunter1\n[t]\nx = { y = \"hunter2\", level = \"info\" }\n",
    );
    let mut diagnostics = Diagnostics::default();
    let mut section = Section::root(&node);
    let password = section
        .take("password")
        .map(Value::hidden)
        .expect("it is there");
    password.note(&mut diagnostics, "not here", None);
    let _none: Option<()> = password
        .shown()
        .hidden()
        .wrong_type("a table", &mut diagnostics);
    let mut table = section.section("t", &mut diagnostics).expect("a table");
    let x = table.take("x").expect("it is there");
    x.note(&mut diagnostics, "no such thing", None);
    let mut inner = x.section(&mut diagnostics).expect("a table");
    assert!(inner.require("z", "it must be", &mut diagnostics).is_none());
    assert_eq!(diagnostics.count(), 4);
    for medium in [Medium::Plain, Medium::Terminal] {
        let shown = report(&diagnostics, medium);
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(
            shown.contains("x = { y = ***, level = \"info\" }"),
            "{shown}"
        );
    }
    assert!(!format!("{diagnostics:?}").contains("hunter"));
}

#[test]
fn a_report_quotes_the_line_and_marks_the_place() {
    let said = document("a = 1\nlevel = \"inof\" # why\n");
    let mut diagnostics = Diagnostics::default();
    let level = Section::root(&said).take("level").expect("it is there");
    let _none: Option<()> = level.word(&[("info", ())], &mut diagnostics);
    diagnostics.add_file("b\u{1b}.toml", "cannot be read", "do\nsomething".to_owned());
    let expected = r#"  x unknown word `inof`
   ,-[a.toml:2:9]
 2 | level = "inof"
   :         ^^^^^^
   `----
  help: did you mean `info`? valid here: `info`

  x b .toml: cannot be read
  help: do something

"#;
    assert_eq!(report(&diagnostics, Medium::Plain), expected);
}

#[test]
fn many_are_counted_and_the_same_is_told_once() {
    let text: String = (0..100).map(|number| format!("k{number} = 1\n")).collect();
    let node = document(&text);
    let mut diagnostics = Diagnostics::default();
    Section::root(&node).finish(&mut diagnostics);
    assert_eq!((diagnostics.kept().len(), diagnostics.more()), (50, 50));
    assert!(diagnostics.is_full() && diagnostics.count() == 100);
    assert!(report(&diagnostics, Medium::Plain).ends_with("  and 50 more mistakes\n"));
    let mut all = Diagnostics::default();
    for _twice in 0..2 {
        Section::root(&document("k = 1")).finish(&mut all);
    }
    assert_eq!(all.count(), 1);
    all.extend(diagnostics);
    assert_eq!((all.kept().len(), all.count()), (50, 101));
}

#[test]
fn files_stand_in_the_order_in_which_they_were_read() {
    let mut diagnostics = Diagnostics::default();
    let place = |name: &str, range: Range<usize>| Span {
        source: Source::new(name, "a\nb\nc\n".to_owned(), &Plain),
        range,
    };
    for (name, at) in [("z", 2), ("a", 4), ("z", 0), ("a", 0)] {
        diagnostics.add(&place(name, at..at + 1), Mark::Shown, "wrong", None);
    }
    assert_eq!(
        lines(diagnostics),
        [
            "z:1:1: wrong",
            "z:2:1: wrong",
            "a:1:1: wrong",
            "a:3:1: wrong"
        ]
    );
    assert_eq!(place("z", 2..3).position(), "z:2:1");
}

#[test]
fn what_is_no_toml_is_told_and_somebody_who_writes_yaml_is_told_so() {
    let said = |text: &str| {
        let mut diagnostics = Diagnostics::default();
        assert!(Node::read(&source(text), &mut diagnostics).is_none());
        (
            lines(diagnostics.clone()).concat(),
            report(&diagnostics, Medium::Plain),
        )
    };
    let (line, shown) = said("password = hunter2\n");
    assert_eq!(
        line,
        "a.toml:1:12: string values must be quoted, expected literal string"
    );
    assert!(
        shown.contains("password = ***") && !shown.contains("hunter2"),
        "{shown}"
    );
    let (line, _) = said("account:\n  ads: {}\n");
    assert!(line.contains("this is to be TOML"), "{line}");
}

#[test]
fn a_piece_of_a_document_keeps_its_places_in_the_whole() {
    let whole = "first = 1\nsecond = \"x\"\n";
    let at = whole.find("second").expect("it is there");
    let piece = Node::parse(&source(whole), &whole[at..], |range| {
        range.start + at..range.end + at
    });
    let node = piece.expect("TOML");
    let mut diagnostics = Diagnostics::default();
    let _none = Section::root(&node).read("second", &mut diagnostics, Value::boolean);
    assert_eq!(
        lines(diagnostics),
        ["a.toml:2:10: expected true or false, found a string"]
    );
    assert!(
        Section::root(&Node::empty(&source(whole)))
            .take("first")
            .is_none()
    );
}
