//! Consumers that read a file, which a sink keeps fresh. The sink is started by hand in place of its unit, which `tests/systemd` runs.
//!
//! Owns the same as the other cases: what is replaced in the lines, and how the consumer ends when the account needs a login.

use std::fs;

use tokend_harness::demand::carried_out;
use tokend_tests::installed;

use super::{ADVICE, End, Scene, Server, cases::api, helpers::with_python, show};

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 3] = ["envoy", "prometheus", "wlcg"];

const END: End = End {
    code: 1,
    says: ADVICE,
};

/// Starts the sink of this configuration, and waits until it has written this file or has something to say.
fn started(configuration: &str, file: &str) -> String {
    format!(
        r#"mkdir -p -m 700 sink; : > said
tokenctl sink --file "$HOME/{configuration}" 2> said & sink=$!
for _ in $(seq 300); do [ -s "{file}" ] || grep -q . said && break; sleep 0.1; done
"#
    )
}

/// The texts for a consumer, with the folder of the sink below the home.
fn parts(scene: &Scene, name: &str) -> Vec<String> {
    let lines = scene.lines(name);
    let home = scene.home().display().to_string();
    let lines = lines.replace(&format!("/run/tokend-sink/{name}"), &format!("{home}/sink"));
    let parts = lines.split("\n\n");
    parts.map(|part| format!("{}\n", part.trim_end())).collect()
}

/// What Envoy does with its configuration, after envoyproxy.io (v1.37, read 2026-12-01): the filter's generic credential is the secret of
/// this name in the response that SDS reads from the file, behind the prefix.
const ENVOY: &str = r#"import json, re
said = open("envoy.yaml").read()
find = lambda pattern: re.search(pattern, said)[1]
assert find("- name: (.*)") == "envoy.filters.http.credential_injector"
name, path = find(r"name: (\S+)\n *sds_config"), find(r" path: (\S+)\n")
secrets = json.load(open(path))["resources"]
[secret] = [it for it in secrets if it["name"] == name]
assert secret["@type"] == "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
value = find('header_value_prefix: "(.*)"') + secret["generic_secret"]["secret"]["inline_string"]
print(f'header = "Authorization: {value}"')
"#;

#[test]
fn envoy() {
    let script = |scene: &Scene| {
        let [sink, user, shell, filter] = &parts(scene, "envoy")[..] else {
            panic!("four parts")
        };
        assert!(user.starts_with("[Service]") && shell.contains("tokend-sink@envoy"));
        scene.put("envoy.toml", sink);
        scene.put("envoy.yaml", filter);
        scene.put("envoy.py", ENVOY);
        let url = scene.server.url();
        let started = started("envoy.toml", "sink/token.json");
        format!(
            "{started}header=$(python3 envoy.py); code=$?; kill $sink; wait; cat said >&2; [ $code = 0 ] || exit 1\n\
             printf '%s\\n' \"$header\" | curl -fsS -K - {url}/\n"
        )
    };
    show(&["python3", "curl"], api(), script, &END);
}

#[test]
fn prometheus() {
    const SCRAPE: &str = r#"port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=127.0.0.1:$port 2> log & prometheus=$!
for _ in $(seq 300); do
  targets=$(curl -s "http://127.0.0.1:$port/api/v1/targets")
  case $targets in *'"health":"up"'*|*'"health":"down"'*) break;; esac
  sleep 0.1
done
kill $prometheus $sink; wait
cat said >&2; echo "$targets"
case $targets in *'"health":"up"'*) exit 0;; esac
exit 1
"#;
    let server = Server::http(|_| {
        let kind = "Content-Type: text/plain; version=0.0.4\r\n".to_owned();
        (kind, "things 1\n".to_owned())
    });
    let script = |scene: &Scene| {
        let [sink, user, shell, scrape] = &parts(scene, "prometheus")[..] else {
            panic!("four parts")
        };
        assert!(user.starts_with("[Service]") && shell.contains("tokend-sink@prometheus"));
        scene.put("prometheus.toml", sink);
        let here = format!("127.0.0.1:{}", scene.server.port());
        let scrape = scrape.replace("metrics.example.com", &here);
        let scrape = scrape.replace("scheme: https", "scheme: http\n  scrape_interval: 1s");
        scene.put("prometheus.yml", &scrape);
        started("prometheus.toml", "sink/token") + SCRAPE
    };
    show(&["prometheus", "curl", "python3"], server, script, &END);
}

/// Looks for the file by itself, as other programs do; its library wants to know what the token means, which is not asked here.
const DISCOVERY: &str = r#"import os, scitokens
scitokens.SciToken.deserialize = staticmethod(lambda token, *_: token)
del os.environ["BEARER_TOKEN_FILE"]
found = scitokens.SciToken.discover()
assert found == open(f"{os.environ['XDG_RUNTIME_DIR']}/bt_u{os.getuid()}").read(), "another file"
"#;

#[test]
fn wlcg() {
    // An environment of before has no gfal yet.
    let gfal = installed("consumers", "venv/bin/gfal");
    let gfal = gfal.and_then(|it| Ok(fs::metadata(it)?));
    let has_gfal = carried_out("gfal and scitokens", gfal.map(drop));
    let Some(python) = with_python("gfal and scitokens").filter(|_| has_gfal) else {
        return;
    };
    let script = |scene: &Scene| {
        let [sink, shell, program] = &parts(scene, "wlcg")[..] else {
            panic!("three parts")
        };
        assert!(shell.contains("systemctl --user enable --now tokend-sink@wlcg.service"));
        scene.put("wlcg.toml", sink);
        scene.put("discovery.py", DISCOVERY);
        let url = scene.server.url();
        let program = program.replace("https://dav.example.com", &url);
        let started = started("wlcg.toml", "$XDG_RUNTIME_DIR/bt_u$(id -u)");
        format!(
            "{python}{started}(\n{program}); code=$?\n\
             [ $code != 0 ] || BEARER_TOKEN_FILE=none python discovery.py || code=5\n\
             kill $sink; wait; cat said >&2; [ $code = 0 ] || exit 1\n"
        )
    };
    show(&["python3"], api(), script, &END);
}
