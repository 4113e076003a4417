//! Each consumer: what a user would do with its lines.
//!
//! Owns what is replaced in the lines, and how the consumer ends when the account needs a login. `tests/README.md` has the versions.

use super::{ADVICE, End, Redirects, Scene, Server, show};

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 17] = [
    "ansible",
    "claude-code",
    "cron",
    "curl",
    "docker",
    "github-actions",
    "go",
    "httpie",
    "kubectl",
    "mbsync",
    "msmtp",
    "mutt",
    "npm",
    "pip",
    "python",
    "shell",
    "wget",
];

/// As tokenctl itself ends.
pub(crate) const ITS_OWN: End = End {
    code: 79,
    says: ADVICE,
};

pub(crate) fn api() -> Server {
    Server::http_with(r#"{"open":true}"#)
}

#[test]
fn ansible() {
    let script = |scene: &Scene| {
        let tasks = scene.lines("ansible").replace('\n', "\n    ");
        let play = format!("- hosts: localhost\n  gather_facts: false\n  tasks:\n    {tasks}");
        scene.put("play.yml", play.trim_end());
        "export ANSIBLE_LOCALHOST_WARNING=false; ansible-playbook -i localhost, -c local play.yml"
            .to_owned()
    };
    let end = End {
        code: 2,
        says: ADVICE,
    };
    show(&["ansible-playbook"], api(), script, &end);
}

/// By the words of <https://docs.anthropic.com/en/docs/claude-code/settings>: it is run by `/bin/sh`, and what it prints is sent.
#[test]
fn claude_code() {
    let script = |scene: &Scene| {
        let settings: serde_json::Value =
            serde_json::from_str(&scene.lines("claude-code")).unwrap();
        let helper = settings["apiKeyHelper"].as_str().unwrap().to_owned();
        let report = scene.report();
        format!("ACCESS_TOKEN=$(/bin/sh -c '{helper}') || exit\nexport ACCESS_TOKEN\n{report}")
    };
    show(&["curl"], api(), script, &ITS_OWN);
}

/// As cron runs a line: by `/bin/sh`, with these variables only.
#[test]
fn cron() {
    let script = |scene: &Scene| {
        let line = scene.lines("cron");
        let line = line.replace("/usr/local/bin/report", &scene.report());
        let command = line
            .trim()
            .strip_prefix("*/10 * * * * ")
            .unwrap()
            .to_owned();
        format!(
            r#"env -i HOME="$HOME" LOGNAME=you SHELL=/bin/sh PATH="${{PATH%%:*}}:/usr/bin:/bin" TOKEND_SOCKET="$TOKEND_SOCKET" /bin/sh -c '{command}'"#
        )
    };
    show(&["curl"], api(), script, &ITS_OWN);
}

#[test]
fn curl() {
    show(&["curl"], api(), |scene| scene.lines("curl"), &ITS_OWN);
}

#[test]
fn docker() {
    let script = |scene: &Scene| {
        let host = format!("127.0.0.1:{}", scene.server.port());
        // No engine: the client asks the registry itself.
        let lines = scene.lines("docker").replace("registry.example.com", &host);
        format!("export DOCKER_HOST=unix:///nowhere.sock\n{lines}")
    };
    show(&["docker"], Server::http_with("{}"), script, &ITS_OWN);
}

/// By the words of <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>: a step is run by `bash -e`, a
/// variable comes from the file `GITHUB_ENV`, and what `::add-mask::` names is masked.
#[test]
fn github_actions() {
    let script = |scene: &Scene| {
        let lines = scene.lines("github-actions");
        let step = lines.trim().strip_prefix("- run: ").unwrap().to_owned();
        scene.put("step", &step);
        scene.put("env", "");
        let report = scene.report();
        format!(
            "export GITHUB_ENV=$HOME/env; : > env; masked=$(bash -e step) || exit\nset -a; . ./env\n\
             [ \"$masked\" = \"::add-mask::$API_TOKEN\" ] || exit 3\nACCESS_TOKEN=$API_TOKEN {report}"
        )
    };
    show(&["curl"], api(), script, &ITS_OWN);
}

#[test]
fn go() {
    let script = |scene: &Scene| {
        scene.put("main.go", &scene.lines("go"));
        "[ -x main ] || go build -o main main.go || exit 99; ./main".to_owned()
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["go"], api(), script, &end);
}

#[test]
fn httpie() {
    show(&["http"], api(), |scene| scene.lines("httpie"), &ITS_OWN);
}

#[test]
fn kubectl() {
    let script = |scene: &Scene| {
        scene.put("ca.pem", &scene.server.certificate);
        let (port, user) = (scene.server.port(), scene.lines("kubectl"));
        scene.put(
            ".kube/config",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
                 clusters:\n- name: here\n  cluster: {{ server: 'https://127.0.0.1:{port}', certificate-authority: ../ca.pem }}\n\
                 contexts:\n- name: here\n  context: {{ cluster: here, user: it }}\n{user}"
            ),
        );
        // Before 1.22 there is v1beta1 only, as the lines say.
        "kubectl version --client 2>&1 | grep -qE 'v1\\.(1[0-9]|2[01])\\.' && sed -i 's,io/v1$,io/v1beta1,' .kube/config\n\
         kubectl get --raw /it"
            .to_owned()
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    // It adds the token to each request, wherever that goes; `needs` says so.
    let server = Server::https_with("{}").with(Redirects::Unshown);
    show(&["kubectl"], server, script, &end);
}

#[test]
fn mbsync() {
    let script = |scene: &Scene| {
        let here = format!("Host 127.0.0.1\nPort {}\nSSLType None", scene.server.port());
        let lines = scene
            .lines("mbsync")
            .replace("Host imap.example.com", &here);
        let channel = "IMAPStore far\nAccount mail\n\nMaildirStore near\nPath mail/\n\nChannel it\nFar :far:\nNear :near:\nPatterns *\n";
        scene.put(".mbsyncrc", &format!("{lines}\n{channel}"));
        "mkdir -p mail && mbsync --list it".to_owned()
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["mbsync"], Server::imap(), script, &end);
}

#[test]
fn msmtp() {
    let script = |scene: &Scene| {
        let here = format!("host 127.0.0.1\nport {}\ntls off", scene.server.port());
        let lines = scene.lines("msmtp");
        let lines = lines.replace("host smtp.example.com\nport 587\ntls on", &here);
        scene.put(".msmtprc", &lines);
        "chmod 600 .msmtprc; echo hello | msmtp you@example.com".to_owned()
    };
    let end = End {
        code: 78,
        says: ADVICE,
    };
    show(&["msmtp"], Server::smtp(), script, &end);
}

#[test]
fn mutt() {
    let script = |scene: &Scene| {
        let here = format!("127.0.0.1:{}", scene.server.port());
        let lines = scene.lines("mutt").replace("smtp.example.com:587", &here);
        scene.put(
            ".muttrc",
            &format!("{lines}set ssl_force_tls = no\nset copy = no\n"),
        );
        "echo hello | mutt -s hello you@example.com".to_owned()
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["mutt"], Server::smtp(), script, &end);
}

#[test]
fn npm() {
    let script = |scene: &Scene| {
        let lines = scene.lines("npm");
        let (rc, command) = lines.split_once("\n\n").unwrap();
        let here = format!("127.0.0.1:{}", scene.server.port());
        let rc = rc.replace("https://npm.example.com", &format!("http://{here}"));
        scene.put(".npmrc", &rc.replace("npm.example.com", &here));
        // What is asked of the registry first; there is no package here to unpack.
        command.trim().replace(
            "npm install @example/package",
            "npm view --prefer-online @example/package version",
        )
    };
    let server = Server::http_with(
        r#"{"name":"@example/package","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"@example/package","version":"1.0.0"}}}"#,
    );
    show(&["npm"], server, script, &ITS_OWN);
}

#[test]
fn pip() {
    let script = |scene: &Scene| {
        let here = format!("127.0.0.1:{}", scene.server.port());
        let lines = scene
            .lines("pip")
            .replace("--machine pypi.example.com", "--machine 127.0.0.1");
        let lines = lines.replace("https://pypi.example.com", &format!("http://{here}"));
        // The index of what exists ends the search: there is no file here to install.
        let lines = lines
            .replace("pip install", "pip index versions")
            .replace(" PACKAGE", " package");
        scene.put("script", &lines);
        // The file with the token is gone afterwards, and there is none on the disk of whoever has no session.
        "mkdir -p run; export XDG_RUNTIME_DIR=$HOME/run\n\
         (unset XDG_RUNTIME_DIR; sh ./script) 2> /dev/null && exit 97\n\
         sh ./script; ended=$?; [ -z \"$(ls -A run)\" ] || exit 98; exit $ended"
            .to_owned()
    };
    let server = Server::http_with(
        r#"<!DOCTYPE html><html><body><a href="package-1.0.tar.gz">package-1.0.tar.gz</a></body></html>"#,
    );
    show(&["pip"], server, script, &ITS_OWN);
}

#[test]
fn python() {
    let script = |scene: &Scene| {
        scene.put("ask.py", &scene.lines("python"));
        "python3 ask.py".to_owned()
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["python3"], api(), script, &end);
}

#[test]
fn shell() {
    let script = |scene: &Scene| {
        let lines = scene.lines("shell");
        let lines = lines.replace("/usr/local/bin/report", &scene.report());
        scene.put("script", &lines);
        "sh ./script".to_owned()
    };
    show(&["curl"], api(), script, &ITS_OWN);
}

#[test]
fn wget() {
    let script = |scene: &Scene| {
        scene.put("script", &scene.lines("wget"));
        "sh ./script".to_owned()
    };
    show(&["wget"], api(), script, &ITS_OWN);
}
