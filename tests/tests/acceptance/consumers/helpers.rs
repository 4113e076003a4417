//! Consumers that ask a helper of ours in a protocol of their own, or that are given a file or headers.
//!
//! Owns the same as the other cases: what is replaced in the lines, and how the consumer ends when the account needs a login.

use std::path::Path;

use super::{ADVICE, End, Scene, Server, show, there};

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 7] = [
    "cargo",
    "claude-mcp",
    "docker-helper",
    "git",
    "oidc-agent",
    "request",
    "terraform",
];

/// The programs of the toolchain that these tests are built with: rustup's own look into the home.
fn toolchain() -> String {
    let cargo = Path::new(env!("CARGO"));
    let rustc = cargo.with_file_name("rustc");
    format!("export RUSTC='{}'; '{}'", rustc.display(), cargo.display())
}

#[test]
fn cargo() {
    let server = Server::http(|path| {
        let body = match path.rsplit('/').next() {
            Some("config.json") => r#"{"dl":"http://127.0.0.1:1/dl","auth-required":true}"#,
            _ => {
                r#"{"name":"package","vers":"1.0.0","deps":[],"cksum":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","features":{},"yanked":false}"#
            }
        };
        (String::new(), body.to_owned())
    });
    let script = |scene: &Scene| {
        let lines = scene.parts("cargo").concat();
        let lines = lines.replace("https://cargo.example.com", &scene.server.url());
        scene.put(".cargo/config.toml", &lines);
        scene.put("it/src/lib.rs", "");
        let dependency = "package = { version = \"1\", registry = \"example\" }";
        scene.put(
            "it/Cargo.toml",
            &format!("[package]\nname = \"it\"\nedition = \"2021\"\n[dependencies]\n{dependency}\n[workspace]\n"),
        );
        let cargo = toolchain();
        format!(
            "rm -rf .cargo/registry it/Cargo.lock; cd it; export CARGO_HOME=$HOME/.cargo; {cargo} generate-lockfile"
        )
    };
    let end = End {
        code: 101,
        says: ADVICE,
    };
    show(&["cargo"], server, script, &end);
}

#[test]
fn oidc_agent() {
    let script = |scene: &Scene| {
        let lines = scene.lines("oidc-agent");
        let (_, lines) = lines.split_once("\n\n").unwrap();
        let socket = scene.site.path().join("oidc.sock");
        let lines = lines.replace("/run/tokend/oidc-agent.sock", &socket.display().to_string());
        lines.replace("COMMAND", &scene.report())
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["oidc-token"], Server::http_with("{}"), script, &end);
}

/// By the words of code.claude.com/docs/en/mcp that anthropics/claude-code#52200 quotes (read 2026-11-30): it is run by a shell, and its
/// object of strings is sent as headers.
#[test]
fn claude_mcp() {
    const SENT: &str = r#"import json, sys
for name, value in json.load(sys.stdin).items():
    print(f'header = "{name}: {value}"')
"#;
    let script = |scene: &Scene| {
        let settings: serde_json::Value = serde_json::from_str(&scene.lines("claude-mcp")).unwrap();
        let server = &settings["mcpServers"]["example"];
        let helper = server["headersHelper"].as_str().unwrap().to_owned();
        assert_eq!(server["url"], "https://mcp.example.com/");
        scene.put("sent.py", SENT);
        let url = scene.server.url();
        format!(
            "headers=$(/bin/sh -c '{helper}') || exit\nprintf %s \"$headers\" | python3 sent.py | curl -fsS -K - {url}/"
        )
    };
    let end = End {
        code: 79,
        says: ADVICE,
    };
    show(&["curl", "python3"], Server::http_with("{}"), script, &end);
}

#[test]
fn docker_helper() {
    let server = Server::http(|path| {
        let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
        let list = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[]}}"#);
        match path.contains("/manifests/") {
            true => (String::new(), list),
            false => (String::new(), "{}".to_owned()),
        }
    });
    let script = |scene: &Scene| {
        let host = format!("127.0.0.1:{}", scene.server.port());
        let lines = scene.parts("docker-helper").concat();
        let lines = lines.replace("registry.example.com", &host);
        scene.put(".docker/config.json", &lines);
        format!(
            "export REGISTRY_AUTH_FILE=$HOME/.docker/config.json\nskopeo inspect --raw --tls-verify=false docker://{host}/it:latest"
        )
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["skopeo"], server, script, &end);
}

#[test]
fn git() {
    let server = Server::http(|_| {
        let kind = "Content-Type: application/x-git-upload-pack-advertisement\r\n".to_owned();
        (kind, "001e# service=git-upload-pack\n00000000".to_owned())
    });
    let script = |scene: &Scene| {
        let url = scene.server.url();
        let lines = scene.parts("git").concat();
        let lines = lines.replace("https://git.example.com", &url);
        format!(
            "export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1; rm -f .gitconfig\n{lines}git ls-remote {url}/it.git"
        )
    };
    let end = End {
        code: 128,
        says: ADVICE,
    };
    show(&["git"], server, script, &end);
}

#[test]
fn request() {
    let script = |scene: &Scene| {
        let url = format!("{}/", scene.server.url());
        let lines = scene.parts("request").concat();
        assert!(lines.contains(&url), "{lines}");
        lines
    };
    let end = End {
        code: 79,
        says: ADVICE,
    };
    show(&["sh"], Server::http_with("{}"), script, &end);
}

/// Terraform itself is on some machines only. Without it this is the exchange of developer.hashicorp.com/terraform/internals/credentials-helpers
/// (read 2026-11-30), done by hand. Why there is no token it says in its log only.
#[test]
fn terraform() {
    let has_program = there(&["terraform"]).is_ok();
    let module = tempfile::tempdir().unwrap();
    std::fs::write(module.path().join("main.tf"), "").unwrap();
    let from = format!("X-Terraform-Get: file://{}\r\n", module.path().display());
    let server = Server::https("127.0.0.1", move |path| {
        let body = match path {
            "/.well-known/terraform.json" => r#"{"modules.v1":"/v1/modules/"}"#,
            _ => r#"{"modules":[{"versions":[{"version":"1.0.0"}]}]}"#,
        };
        (from.clone(), body.to_owned())
    });
    let script = |scene: &Scene| {
        let [rc, shell] = &scene.parts("terraform")[..] else {
            panic!("two parts")
        };
        scene.put(".terraformrc", rc);
        scene.put("ca.pem", &scene.server.certificate);
        let host = format!("127.0.0.1:{}", scene.server.port());
        scene.put(
            "it/main.tf",
            &format!("module \"it\" {{\n  source = \"{host}/it/it/it\"\n}}\n"),
        );
        if !has_program {
            // The documentation: it is started with `get` and the host, and its object has the token.
            return format!(
                "{shell}said=$(.terraform.d/plugins/terraform-credentials-tokenctl get {host}) || exit 1\n\
                 printf %s \"$said\" | sed -n 's/.*\"token\":\"\\(.*\\)\".*/header = \"Authorization: Bearer \\1\"/p' |\n\
                 curl -fsS --cacert ca.pem -K - https://{host}/.well-known/terraform.json"
            );
        }
        format!(
            "{shell}export SSL_CERT_FILE=$HOME/ca.pem CHECKPOINT_DISABLE=1 TF_LOG=warn; cd it; rm -rf .terraform; terraform init -no-color"
        )
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["curl"], server, script, &end);
}
