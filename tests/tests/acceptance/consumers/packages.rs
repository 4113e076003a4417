//! Programs that use a package of ours.
//!
//! Owns how each package is put where its language looks for it.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tokend_harness::demand::carried_out;

use super::{ADVICE, End, Server, cases::api, show};
use crate::languages::python;

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 4] = ["go-http", "node", "python-package", "rust"];

/// A program that does not catch what its package says.
const UNCAUGHT: End = End {
    code: 1,
    says: ADVICE,
};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client")
}

#[test]
fn go_http() {
    let script = |scene: &super::Scene| {
        let lines = scene.lines("go-http");
        let (program, command) = lines.split_once("\n\nTOKEND_HTTP_SOCKET=").unwrap();
        scene.put("main.go", program);
        let socket = scene.http_socket().display().to_string();
        format!("TOKEND_HTTP_SOCKET={command}").replace("/run/tokend/http.sock", &socket)
    };
    show(&["go"], api(), script, &UNCAUGHT);
}

#[test]
fn node() {
    let script = |scene: &super::Scene| {
        scene.put("ask.mjs", &scene.parts("node").join("\n"));
        let modules = scene.home().join("node_modules");
        std::fs::create_dir(&modules).unwrap();
        symlink(source().join("node"), modules.join("tokend")).unwrap();
        "node ask.mjs".to_owned()
    };
    show(&["node"], api(), script, &UNCAUGHT);
}

#[test]
fn python_package() {
    let found = python::programs();
    let there = found.as_ref().map(drop);
    if !carried_out(
        "the Python package",
        there.map_err(|error| anyhow::anyhow!("{error:#}")),
    ) {
        return;
    }
    let newest = found.unwrap().pop().unwrap();
    let script = |scene: &super::Scene| {
        scene.put("ask.py", &scene.parts("python-package").join("\n"));
        let package = source().join("python/src");
        format!(
            "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={} {} ask.py",
            package.display(),
            newest.display()
        )
    };
    show(&[], api(), script, &UNCAUGHT);
}

/// What is on loopback needs no TLS, which would take long to build.
#[test]
fn rust() {
    let script = |scene: &super::Scene| {
        let lines = scene.lines("rust");
        let (manifest, program) = lines.split_once("\n\nuse std::process").unwrap();
        let source = source().display().to_string();
        let manifest = manifest.replace("../tokend/client", &source).replace(
            "ureq = \"3\"",
            "ureq = { version = \"3\", default-features = false }",
        );
        let package = "[package]\nname = \"ask\"\nedition = \"2024\"\n\n[workspace]\n\n";
        scene.put("ask/Cargo.toml", &format!("{package}{manifest}\n"));
        scene.put("ask/src/main.rs", &format!("use std::process{program}"));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumer-rust");
        let lock = std::fs::read_to_string(format!("{source}/../Cargo.lock")).unwrap();
        scene.put("ask/Cargo.lock", &lock);
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline"])
            .current_dir(scene.home().join("ask"))
            // What was built once is not built again.
            .env("CARGO_TARGET_DIR", &target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        target.join("debug/ask").display().to_string()
    };
    show(&[], Server::http_with("{}"), script, &UNCAUGHT);
}
