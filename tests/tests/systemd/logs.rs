//! `tokenctl logs` from a real journal.

use super::stage::{CLIENT, IT, STRANGER, Stage};

#[test]
fn the_history_of_an_account_is_read_from_the_journal_by_whom_the_advice_helps() {
    let Some(stage) = Stage::started() else {
        return;
    };
    let token = stage.get();
    assert_eq!(stage.get_as(STRANGER).code, Some(77));
    let logs = || stage.run(&["tokenctl", "logs", IT]);
    stage.wait("both records", || {
        let said = logs();
        said.out.contains("release (get)") && said.out.contains("denial (get)")
    });
    // Another program's record looks the same, but for the unit that the journal itself names.
    let forged = "printf '%s\\n' MESSAGE=x MESSAGE_ID=5d1a0b7f3c9e4a42a6d08f1be37c52e9 TOKEND_ACCOUNT=it \
                  TOKEND_TIME=2026-11-30T13:00:00Z TOKEND_EVENT=forged | logger --journald";
    stage.machine.shell(forged).unwrap();
    stage.run(&["journalctl", "--sync"]);
    let said = logs();
    for expected in ["login attempt 1 (get)", CLIENT, STRANGER, "not-allowed"] {
        assert!(said.out.contains(expected), "{expected}: {said:?}");
    }
    assert!(
        !said.out.contains("forged") && !said.out.contains(&token),
        "{said:?}"
    );
    // Who may not read the journal is told what to do, and that helps.
    let as_client = || {
        let words = ["tokenctl", "logs", IT];
        stage.machine.run_as(CLIENT, &words).unwrap()
    };
    let said = as_client();
    assert_eq!(said.code, Some(77), "{said:?}");
    assert!(said.err.contains("usermod -aG systemd-journal"), "{said:?}");
    stage.run(&["usermod", "-aG", "systemd-journal", CLIENT]);
    let said = as_client();
    assert!(
        said.code == Some(0) && said.out.contains("release (get)"),
        "{said:?}"
    );
}
