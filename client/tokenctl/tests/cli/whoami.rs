//! `whoami` for people and programs.

use serde_json::Value;
use tokend_proto::{Request, Response};

use crate::fake::{Act, FakeDaemon, whoami};
use crate::run::tokenctl;

fn daemon() -> FakeDaemon {
    FakeDaemon::start(|_, request| match request {
        Request::Whoami => Act::Reply(Response::Whoami(Box::new(whoami()))),
        other => panic!("{other:?}"),
    })
}

#[test]
fn people_see_lines_and_why_something_is_not_known() {
    let ended = tokenctl(&daemon(), &["whoami"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for line in [
        "user           deploy (1000)\n",
        "unit           backup.service\n",
        "executable     not known: it may not\n",
        "administrator  no\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn programs_get_an_object() {
    let ended = tokenctl(&daemon(), &["whoami", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(object["uid"], 1000);
    assert_eq!(object["unit"], "backup.service");
    assert_eq!(object["unread"][0]["what"], "executable");
    // Every key is in the help, and nothing else is.
    let help = tokenctl(&daemon(), &["whoami", "--help"]).stdout;
    for key in object.as_object().unwrap().keys() {
        let named = help.contains(&format!(" {key},"))
            || help.contains(&format!(" {key}."))
            || help.contains(&format!("\n{key},"));
        assert!(named, "{key}: {help}");
    }
}
