//! What another user learns of a sink: nothing.

use std::{
    fs,
    os::unix::fs::chown,
    path::Path,
    process::{Child, Command, Stdio},
};

use tokend_harness::{
    clock::{PATIENCE, wait_until},
    demand::{carried_out, root},
};

use crate::policy::{OTHER, Place, USER, user_of};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(place: &Place, configuration: &Path) -> Ended {
    let [first, rest @ ..] = user_of(USER);
    let sink = Command::new(first)
        .args(rest)
        .arg(&place.tokenctl)
        .arg("--socket")
        .arg(place.site.socket())
        .args(["sink", "--file"])
        .arg(configuration)
        .stdin(Stdio::null())
        .spawn();
    Ended(sink.unwrap())
}

#[test]
fn another_user_sees_neither_the_file_of_a_sink_nor_its_report() {
    if !carried_out("a sink of another user", root()) {
        return;
    }
    let rules = [
        ("theirs", format!("{{ user = {USER} }}")),
        ("mine", format!("{{ user = {OTHER} }}")),
    ];
    let place = Place::new(&[("theirs", &rules[0].1), ("mine", &rules[1].1)]);
    let top = place.site.path();
    let out = top.join("out");
    fs::create_dir(&out).unwrap();
    let user = USER.parse().unwrap();
    chown(&out, Some(user), Some(user)).unwrap();
    let file = out.join("token");
    let configuration = top.join("feed.toml");
    let text = format!("account = \"theirs\"\npath = \"{}\"\n", file.display());
    fs::write(&configuration, text).unwrap();
    let _sink = start(&place, &configuration);
    let path = file.display().to_string();
    let says = |user: &str, words: &[&str]| {
        let said = place.as_user(user, words);
        format!("{}{}", said.out, said.err)
    };
    wait_until("the report", PATIENCE, || {
        file.exists() && says(USER, &["status", "theirs", "--json"]).contains(&path)
    })
    .unwrap();
    for words in [
        &["status", "theirs", "--json"][..],
        &["status", "--json"],
        &["status"],
        &["doctor", "theirs"],
        &["doctor"],
        &["metrics"],
        &["list"],
    ] {
        let said = says(OTHER, words);
        assert!(
            !said.contains("feed") && !said.contains(&path),
            "{words:?}: {said}"
        );
    }
    assert!(says(OTHER, &["status", "--json"]).contains("mine"));
    let [first, rest @ ..] = user_of(OTHER);
    let read = Command::new(first)
        .args(rest)
        .arg("cat")
        .arg(&file)
        .output();
    let read = read.unwrap();
    assert!(!read.status.success() && read.stdout.is_empty(), "{read:?}");
}
