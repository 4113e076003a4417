//! Consumers that ask a helper of ours in a protocol of their own, or that are given a file or headers.
//!
//! Owns the same as the other cases: what is replaced in the lines, and how the consumer ends when the account needs a login.

use std::{path::Path, process::Command};

use tokend_harness::demand::carried_out;
use tokend_tests::installed;

use super::{
    ADVICE, End, Redirects, Scene, Server,
    cases::{ITS_OWN, api},
    show, there,
};

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 11] = [
    "aws",
    "cargo",
    "claude-mcp",
    "docker-helper",
    "git",
    "oidc-agent",
    "pip-keyring",
    "request",
    "terraform",
    "twine",
    "uv",
];

/// The programs of the toolchain that these tests are built with: rustup's own look into the home.
fn toolchain() -> String {
    let cargo = Path::new(env!("CARGO"));
    let rustc = cargo.with_file_name("rustc");
    format!("export RUSTC='{}'; '{}'", rustc.display(), cargo.display())
}

/// The programs that `tests/setup` has for Python, in front of PATH.
fn python() -> anyhow::Result<String> {
    let folder = installed("consumers", "venv/bin")?;
    Ok(format!("export PATH=\"{}:$PATH\"\n", folder.display()))
}

/// The same, or nothing to be shown here.
pub(super) fn with_python(about: &str) -> Option<String> {
    let found = python();
    match &found {
        Ok(_) => found.ok(),
        Err(error) => {
            assert!(!carried_out(about, Err(anyhow::anyhow!("{error}"))));
            None
        }
    }
}

/// botocore as the AWS CLI and every SDK in Python has it, with the address of its token service in place of Amazon's.
#[test]
fn aws() {
    const ASK: &str = r#"import botocore.session
keys = botocore.session.Session().get_credentials().get_frozen_credentials()
print(keys.access_key)
"#;
    let Some(python) = with_python("botocore") else {
        return;
    };
    let server = Server::http(|_| {
        (
            String::new(),
            STS.replace("EXPIRES", "2099-01-01T00:00:00Z"),
        )
    });
    let script = |scene: &Scene| {
        scene.put("ask.py", ASK);
        let lines = scene.lines("aws");
        let lines = lines.replace("aws sts get-caller-identity", "python ask.py");
        let url = scene.server.url();
        format!("{python}export AWS_ENDPOINT_URL_STS={url} AWS_MAX_ATTEMPTS=1\n{lines}")
    };
    show(&["python3"], server, script, &ITS_OWN);
}

/// What the token service answers.
const STS: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIA0</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
    <SessionToken>t</SessionToken><Expiration>EXPIRES</Expiration></Credentials>\
    <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/report/x</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>\
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

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
    show(
        &["curl", "python3"],
        Server::http_with("{}"),
        script,
        &ITS_OWN,
    );
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
    show(&["skopeo"], server.with(Redirects::One), script, &end);
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

/// An index that has one package, whose metadata is beside it.
fn index() -> Server {
    Server::http(|path| {
        let wheel = "package-1.0-py3-none-any.whl";
        let body = match path.ends_with(".metadata") {
            true => "Metadata-Version: 2.1\nName: package\nVersion: 1.0\n".to_owned(),
            false => format!(
                "<!DOCTYPE html><html><body><a href=\"{wheel}\" data-core-metadata=\"true\">{wheel}</a></body></html>"
            ),
        };
        (String::new(), body)
    })
}

/// The lines for a consumer of an index, at this one.
fn at_index(scene: &Scene, name: &str) -> String {
    let here = format!("127.0.0.1:{}", scene.server.port());
    let lines = scene.parts(name).concat();
    let lines = lines.replace(
        "https://oauth2@pypi.example.com",
        &format!("http://oauth2@{here}"),
    );
    lines.replace("https://pypi.example.com", &format!("http://{here}"))
}

#[test]
fn pip_keyring() {
    let script = |scene: &Scene| {
        // The index of what exists ends the search: there is no file here to install.
        let lines = at_index(scene, "pip-keyring").replace("pip install", "pip index versions");
        lines.replace(" PACKAGE", " package")
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["pip"], index(), script, &end);
}

#[test]
fn request() {
    let script = |scene: &Scene| {
        let url = format!("{}/", scene.server.url());
        let lines = scene.parts("request").concat();
        assert!(lines.contains(&url), "{lines}");
        lines
    };
    show(&["sh"], Server::http_with("{}"), script, &ITS_OWN);
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
    show(&["curl"], server.with(Redirects::One), script, &end);
}

/// Makes what is uploaded.
const SDIST: &str = r#"import io, os, tarfile
os.makedirs("dist", exist_ok=True)
text = b"Metadata-Version: 2.1\nName: package\nVersion: 1.0\n"
with tarfile.open("dist/package-1.0.tar.gz", "w:gz") as tar:
    for name in ["PKG-INFO", "setup.cfg"]:
        entry = tarfile.TarInfo("package-1.0/" + name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
"#;

#[test]
fn twine() {
    let Some(python) = with_python("twine") else {
        return;
    };
    let script = |scene: &Scene| {
        let made = scene.keyring();
        scene.put("sdist.py", SDIST);
        let lines = at_index(scene, "twine");
        format!("{python}{made}python sdist.py\n{lines}")
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["python3"], Server::http_with("{}"), script, &end);
}

#[test]
fn uv() {
    let Some(python) = with_python("uv") else {
        return;
    };
    let script = |scene: &Scene| {
        let lines =
            at_index(scene, "uv").replace("uv pip install", "uv pip compile --no-cache -q -");
        let lines = lines.replace(" PACKAGE", " < in.txt");
        scene.put("in.txt", "package\n");
        format!("{python}{lines}")
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["python3"], index(), script, &end);
}

/// pip that imports keyring, and with it the backend.
#[test]
fn pip_with_the_backend_of_keyring() {
    let Some(python) = with_python("pip with keyring") else {
        return;
    };
    let script = |scene: &Scene| {
        let made = scene.keyring();
        let url = scene.server.url();
        format!(
            "{python}{made}python -m pip index versions --no-input --keyring-provider import --index-url {url}/simple/ package"
        )
    };
    let end = End {
        code: 1,
        says: ADVICE,
    };
    show(&["python3"], index(), script, &end);
}

#[test]
fn the_backend_of_keyring_passes_its_own_tests() {
    let Some(python) = with_python("the backend of keyring") else {
        return;
    };
    let scene = Scene::new(api());
    let made = scene.keyring();
    let ended = scene.run(&format!(
        "{python}{made}python -m unittest discover -s keyring/tests"
    ));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("\nOK"), "{ended:?}");
    let listed = scene.run(&format!("{python}{made}keyring --list-backends"));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("tokend_keyring.TokendKeyring"), "{listed}");
}

/// A program that lives longer than its token: the file has the next one, and the SDK reads it.
#[test]
fn an_aws_sdk_reads_the_file_again() {
    const ASK: &str = r#"import botocore.session, os, subprocess, time
credentials = botocore.session.Session().get_credentials()
credentials.get_frozen_credentials()
path = os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
before = open(path).read()
subprocess.run(["tokenctl", "refresh", "it"], check=True)
end = time.monotonic() + 60
while not os.path.exists(path) or open(path).read() == before:
    assert time.monotonic() < end, "the file stays as it was"
    time.sleep(0.01)
try:
    credentials.get_frozen_credentials()
    print("twice the same")
except Exception:
    print("another one")
"#;
    let Some(python) = with_python("botocore") else {
        return;
    };
    let server = Server::http(|_| {
        // botocore asks anew for keys that live for less than ten minutes.
        let soon = ["-u", "-d", "+5 minutes", "+%Y-%m-%dT%H:%M:%SZ"];
        let soon = Command::new("date").args(soon).output().unwrap();
        let soon = String::from_utf8(soon.stdout).unwrap();
        (String::new(), STS.replace("EXPIRES", soon.trim()))
    });
    let scene = Scene::new(server);
    scene.put("ask.py", ASK);
    scene.server.demand(&scene.site.get("it").unwrap());
    let lines = scene.lines("aws");
    let lines = lines.replace("aws sts get-caller-identity", "python ask.py");
    let url = scene.server.url();
    let ended = scene.run(&format!(
        "{python}export AWS_ENDPOINT_URL_STS={url} AWS_MAX_ATTEMPTS=1\n{lines}"
    ));
    assert!(ended.status.success(), "{ended:?}");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("another one"), "{ended:?}");
    let (accepted, refused) = scene.server.counts();
    assert!(accepted == 1 && refused >= 1, "{accepted} {refused}");
}
