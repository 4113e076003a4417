//! Runs that are walked through again: nothing of them is lost in the lines.

use crate::history::{self, Step, first_difference, walk};
use crate::runs::{blow, by_chance, struck};
use crate::step::{shown, walk_through};
use crate::tree::{Tree, changes};

fn walked(lines: &[String]) -> Vec<Step> {
    walk(lines.iter().map(String::as_str)).unwrap_or_else(|why| panic!("{why}"))
}

/// The effects of one engine: as they were carried out, and as they are wanted again; and whether it ended by a crash.
fn of_each_engine(steps: &[Step]) -> Vec<(Vec<&str>, Vec<&str>, bool)> {
    let mut engines = Vec::new();
    for step in steps {
        if step.line.starts_with("engine ") {
            engines.push((Vec::new(), Vec::new(), false));
        }
        let Some((carried_out, wanted, crashed)) = engines.last_mut() else {
            panic!("no engine begins");
        };
        carried_out.extend(step.effects_before.iter().map(String::as_str));
        wanted.extend(step.effects.iter().map(String::as_str));
        *crashed |= step.notes.iter().any(|note| note == "CRASH");
    }
    engines
}

#[test]
fn a_run_that_is_walked_through_again_has_the_same_effects() {
    let runs = (0..6).map(|seed| by_chance(seed, true));
    let struck = (0..).map_while(blow).map(|blow| struck(3, 120, blow, true));
    let mut crashes = 0;
    for run in runs.chain(struck) {
        assert_eq!(run.broken, None);
        for (carried_out, wanted, crashed) in of_each_engine(&walked(&run.lines)) {
            assert_eq!(carried_out, wanted[..carried_out.len()]);
            crashes += usize::from(crashed);
            // What a daemon did not come to before it died.
            assert!(crashed || carried_out.len() == wanted.len());
        }
    }
    assert!(crashes > 10, "{crashes}");
}

#[test]
fn every_event_of_a_run_reads_back_as_it_was() {
    use crate::events::Read as _;
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..40 {
        for line in &by_chance(seed, true).lines {
            let Some((_, event)) = line.split_once(" event ") else {
                continue;
            };
            let tree = Tree::read(event).unwrap_or_else(|why| panic!("{event}: {why}"));
            let read = tokend_engine::Event::read(&tree);
            let read = read.unwrap_or_else(|why| panic!("{event}: {why}"));
            assert_eq!(format!("{read:?}"), event);
            kinds.extend(event.split([' ', '(']).next().map(str::to_owned));
        }
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}

#[test]
fn events_that_no_run_has_read_back_as_well() {
    use crate::events::Read as _;
    for event in [
        "EnteredAgain(AccountKey(1), AttemptId(18446744073709551615))",
        "Spent(AccountKey(1), LoginUsed { attempts: Tat(12.345), logins: Tat(far), deferred_until: Some(0.001), attempt_by: None, login_by: None })",
        "Answered(AccountKey(1), AttemptId(2), Granted(GrantFacts { lifetime: Some(1.000000001s), refresh_token: true, \
         refresh_token_lost: false, refresh_lifetime: Some(2.5µs) }))",
        "Left(AccountKey(4294967295), WaiterId(0))",
        "Doubted(AccountKey(0), AttemptId(1), true)",
    ] {
        let read = Tree::read(event).and_then(|tree| tokend_engine::Event::read(&tree));
        assert_eq!(format!("{:?}", read.expect(event)), event);
    }
}

#[test]
fn a_file_of_events_is_walked_like_the_run_it_came_from() {
    let steps = walked(&by_chance(11, true).lines);
    let text = history::lines(&steps);
    let again = walk(text.lines()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(again.len(), steps.len());
    for (again, step) in again.iter().zip(&steps) {
        assert_eq!((&again.line, &again.changes), (&step.line, &step.changes));
        assert_eq!(again.effects, step.effects);
        assert_eq!(again.effects_before, step.effects);
    }
    assert_eq!(first_difference(&again), None);
    let kinds = ["Send(", "Publish(", "Settle("].map(|kind| {
        let other = text.replacen(&format!("effect {kind}"), "effect Other(", 1);
        let again = walk(other.lines()).unwrap_or_else(|why| panic!("{why}"));
        first_difference(&again)
    });
    assert!(kinds.iter().all(Option::is_some), "{kinds:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    for (text, expected) in [
        ("1.000 timeout", "line 1: no engine was begun"),
        ("engine 1\n\n1.0 timeout", "line 3: not a time: 1.0"),
        ("engine x", "line 1: not a number: x"),
        ("effect Drain", "line 1: an effect of nothing"),
        (
            "engine 1\n1.000 sleep",
            "line 2: neither event, timeout nor asked: sleep",
        ),
        (
            "engine 1\n1.000 event Left(AccountKey(1))",
            "line 2: not an event: `Left(AccountKey(1))`",
        ),
        (
            "engine 1\n1.000 event Left(AccountKey(1), WaiterId(x))",
            "line 2: not u64: `x`",
        ),
        (
            "engine 1\n1.000 event Left(AccountKey(1)",
            "line 2: column 19: expected a comma, found ``",
        ),
    ] {
        assert_eq!(walk(text.lines()).unwrap_err(), expected);
    }
}

#[test]
fn a_step_shows_only_what_changed() {
    let before = Tree::read(
        "Engine { accounts: {AccountKey(0): Account { phase: Resting, held: None, at: {(1.5, 2)} }} }",
    );
    let after = Tree::read(
        "Engine { accounts: {AccountKey(0): Account { phase: Claiming(Attempt { id: 1 }), held: None, at: {(1.5, 2)} }, AccountKey(1): New} }",
    );
    let changes = changes(&before.expect("it reads"), &after.expect("it reads"));
    let step = Step {
        line: "1.500 timeout".to_owned(),
        after: std::time::Duration::from_millis(500),
        effects: vec!["Drain".to_owned()],
        effects_before: Vec::new(),
        changes,
        notes: vec!["CRASH".to_owned()],
    };
    let shown = shown(7, &step);
    assert_eq!(
        shown,
        "#7  00:00:00.500  1.500 timeout\n  effect Drain\n  state accounts.AccountKey(0).phase\n    - Resting\n    + Claiming(Attempt { id: 1 })\n  \
         state accounts.AccountKey(1)\n    + New\n  # CRASH"
    );
}

#[test]
fn a_person_goes_on_by_enter_and_elsewhere_by_a_number() {
    let text = "engine 1\n1.000 timeout\n2.000 timeout\n3.000 timeout\n4.000 timeout";
    let steps = walk(text.lines()).unwrap_or_else(|why| panic!("{why}"));
    let numbers = |typed: &str, from, to| {
        let (mut input, mut out) = (typed.as_bytes(), Vec::new());
        walk_through(&steps, from, to, Some(&mut input), &mut out).expect("a buffer takes it");
        let shown = String::from_utf8(out).expect("it is text");
        let numbers = shown.split('#').skip(1).map(|step| &step[..1]);
        numbers.map(str::to_owned).collect::<Vec<_>>().concat()
    };
    assert_eq!(numbers("\n\n\n\n", 1, 9), "12345");
    assert_eq!(numbers("\n4\n\n", 1, 9), "1245");
    assert_eq!(numbers("\n1\n99\n", 3, 9), "3415");
    assert_eq!(numbers("0\nwhat\nq\n", 2, 9), "212");
    assert_eq!(numbers("", 2, 9), "2");
    assert_eq!(numbers("\n\n\n", 2, 3), "23");
    let mut out = Vec::new();
    walk_through(&steps, 4, 5, None, &mut out).expect("a buffer takes it");
    assert_eq!(
        String::from_utf8(out).expect("it is text"),
        "#4  00:00:02.000  3.000 timeout\n#5  00:00:03.000  4.000 timeout\n"
    );
}
