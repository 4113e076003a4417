//! What a configuration makes of a file, and which are refused.

use super::*;

#[test]
fn each_format_is_a_file_that_its_reader_takes() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let written = |lines: &str| {
        drop(fs::remove_file(stage.site.path().join("out/token")));
        let running = Running::start(&stage.site, lines);
        (running.token(), mode(&running.file))
    };
    let path = |rest: &str| format!("{PLAIN}{rest}");
    assert_eq!(written(&path("format = \"raw\"")).0, token);
    let (header, mode) = written(&path("format = \"header\"\nmode = \"0440\""));
    assert_eq!(
        (header, mode),
        (format!("Authorization: Bearer {token}\n"), 0o440)
    );
    let json: serde_json::Value =
        serde_json::from_str(&written(&path("format = \"json\"")).0).unwrap();
    assert_eq!(json.get("access_token").unwrap().as_str(), Some(&*token));
    assert!(json.get("expires_at").unwrap().is_string());
    assert!(json.get("expires_in").is_none(), "a file is read later");
    let dotenv = written(&path("format = \"dotenv\"\nenv_name = \"API\"")).0;
    assert_eq!(dotenv, format!("API={token}\n"));
    let template = written(&path(
        "format = \"template\"\ntemplate = \"bearer: {{token}}\\n\"",
    ));
    assert_eq!(template.0, format!("bearer: {token}\n"));
    let group = written(&path(&format!(
        "group = \"{}\"",
        rustix::process::getegid().as_raw()
    )));
    assert_eq!(group, (token, 0o640));
}

/// Mistakes in a configuration, and what is said of them.
const MISTAKES: [(&str, &str); 15] = [
    ("pth = \"FILE\"", "unknown key `pth`"),
    ("", "`path` is missing"),
    ("path = \"token\"", "not written in full"),
    (
        "path = \"FILE\"\nmode = \"644\"",
        "is no permission of a sink",
    ),
    ("path = \"FILE\"\nformat = \"yaml\"", "unknown word `yaml`"),
    (
        "path = \"FILE\"\nformat = \"netrc\"",
        "`machine` is missing",
    ),
    (
        "path = \"FILE\"\nmachine = \"a\"",
        "this format has no `machine`",
    ),
    (
        "path = \"FILE\"\nformat = \"envoy-sds\"",
        "Envoy could not read this file",
    ),
    ("path = \"FILE\"\nformat = \"template\"", "needs either"),
    (
        "path = \"FILE\"\nformat = \"template\"\ntemplate = \"{{x}}\"",
        "no placeholder {{x}}",
    ),
    (
        "path = \"FILE\"\nwlcg = true",
        "says itself where the file is",
    ),
    (
        "path = \"FILE\"\ngroup = \"no-such-group\"",
        "there is no group",
    ),
    (
        "path = \"FILE\"\non_change = { signal = \"HUP\" }",
        "no single thing to do",
    ),
    (
        "path = \"FILE\"\non_change = { reload = \"a\", command = [\"b\"] }",
        "no single thing to do",
    ),
    (
        "path = \"FILE\"\nmin_validity = \"ages\"",
        "is not a duration",
    ),
];

#[test]
fn what_cannot_be_a_sink_is_refused_before_it_runs() {
    let stage = Stage::on_demand(Api::JwtApi);
    let site = &stage.site;
    let link = site.path().join("link");
    symlink(site.path().join("out"), &link).unwrap();
    let open = site.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let linked = format!("path = \"{}/token\"", link.display());
    let opened = format!("path = \"{}/token\"", open.display());
    let places = [
        (&*linked, "is a symbolic link"),
        (&*opened, "others can write to the directory"),
    ];
    for (lines, words) in MISTAKES.into_iter().chain(places) {
        let path = configure(site, lines);
        for arguments in [&["--check"][..], &[]] {
            let all = [&["sink", "--file", path.to_str().unwrap()], arguments].concat();
            let said = site.tokenctl(&all).unwrap();
            assert_eq!(said.code, Some(78), "{lines}: {said:?}");
            assert!(said.err.contains(words), "{lines}: {}", said.err);
        }
    }
    let path = configure(site, PLAIN);
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let said = site
        .tokenctl(&["sink", "--check", "--file", path.to_str().unwrap()])
        .unwrap();
    assert!(
        said.code == Some(78) && said.err.contains("others can change this file"),
        "{said:?}"
    );
}

#[test]
fn two_sinks_with_one_path_are_refused_and_wlcgs_file_is_where_its_readers_look() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let file = configure(&stage.site, PLAIN);
    let (home, runtime) = (
        stage.site.path().join("config"),
        stage.site.path().join("run"),
    );
    let sinks = home.join("tokend/sinks.d");
    fs::create_dir_all(&sinks).unwrap();
    fs::create_dir(&runtime).unwrap();
    let tokenctl = |arguments: &[&str]| {
        let mut command = Command::new(&stage.site.binaries().tokenctl);
        command
            .arg("--socket")
            .arg(stage.site.socket())
            .args(arguments);
        command
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_RUNTIME_DIR", &runtime);
        command
    };
    fs::copy(&file, sinks.join("one.toml")).unwrap();
    let said = tokenctl(&["sink", "one", "--check"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    fs::copy(&file, sinks.join("two.toml")).unwrap();
    for arguments in [
        &["sink", "--check"][..],
        &["sink", "one", "--check"],
        &["sink", "two"],
    ] {
        let said = tokenctl(arguments).output().unwrap();
        assert_eq!(said.status.code(), Some(78), "{arguments:?}: {said:?}");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(text.contains("one path"), "{text}");
    }
    let said = tokenctl(&["sink", "three"]).output().unwrap();
    assert_eq!(said.status.code(), Some(78), "{said:?}");
    fs::write(sinks.join("grid.toml"), "account = \"it\"\nwlcg = true\n").unwrap();
    let mut child = tokenctl(&["sink", "grid"]).spawn().unwrap();
    let found = runtime.join(format!("bt_u{}", rustix::process::geteuid().as_raw()));
    let token = wait_for("the token", PATIENCE, || fs::read_to_string(&found).ok());
    assert_eq!(token.unwrap(), stage.site.get("it").unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_sink_that_cannot_be_written_is_in_status_doctor_metrics_and_log() {
    let stage = Stage::on_demand(Api::JwtApi);
    let _daemon = stage.site.start().unwrap();
    let running = Running::start(&stage.site, PLAIN);
    let sinks = || {
        let status = stage.site.status("it").unwrap();
        status.get("sinks").unwrap().as_array().unwrap().clone()
    };
    let has_problem =
        |expected: bool| {
            let what = format!("a sink with a problem: {expected}");
            wait_until(&what, PATIENCE, || {
            matches!(&sinks()[..], [one] if one.get("problem").unwrap().is_string() == expected)
        })
        .unwrap();
        };
    let says = |arguments: &[&str], words: &str| {
        let said = stage.site.tokenctl(arguments).unwrap();
        assert!(said.out.contains(words), "{words}: {said:?}");
    };
    has_problem(false);
    let one = sinks().remove(0);
    assert_eq!(one.get("sink").unwrap(), "feed");
    assert_eq!(
        one.get("path").unwrap(),
        &*running.file.display().to_string()
    );
    says(&["metrics"], "tokend_sinks{state=\"fresh\"} 1\n");
    says(&["doctor", "it"], "sink feed of user ");
    let (out, away) = (
        stage.site.path().join("out"),
        stage.site.path().join("away"),
    );
    fs::rename(&out, &away).unwrap();
    has_problem(true);
    says(&["metrics"], "tokend_sinks{state=\"failing\"} 1\n");
    says(&["doctor", "it"], "cannot keep ");
    stage
        .site
        .log_with(&["a sink cannot keep its file fresh"])
        .unwrap();
    // A reload asks for it anew, and so does a restart.
    assert_eq!(stage.site.tokenctl(&["reload"]).unwrap().code, Some(0));
    has_problem(true);
    fs::rename(&away, &out).unwrap();
    has_problem(false);
    stage
        .site
        .log_with(&["a sink keeps its file fresh again"])
        .unwrap();
    drop(running);
    wait_until("the sink to be gone", PATIENCE, || sinks().is_empty()).unwrap();
}
