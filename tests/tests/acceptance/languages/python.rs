//! `client/python`, on the oldest and the newest Python that this machine has and the package is for.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use tokend_harness::{Site, demand::carried_out};

use super::{copied, follow, show};

/// What there is to send a request with.
const ADAPTERS: [&str; 6] = ["core", "requests", "httpx", "asyncio", "google", "azure"];

/// A Python that the package is installed for, with `python -m tests.…` beside it.
struct Python {
    program: PathBuf,
    source: PathBuf,
    installed: PathBuf,
}

impl Python {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in env::vars().map(|(name, _)| name) {
            if name.to_lowercase().ends_with("_proxy") || name.starts_with("PIP_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(&self.source)
            .env("PYTHONPATH", &self.installed)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:#?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// Installs the package from the tree for each Python, as `pip install ./client/python` does.
fn pythons(site: &Site) -> Vec<Python> {
    let found = programs();
    let there = found
        .as_ref()
        .map(drop)
        .map_err(|error| anyhow::anyhow!("{error:#}"));
    if !carried_out("the Python package", there) {
        return Vec::new();
    }
    let source = copied("python", site);
    let install = |program: PathBuf| {
        let python = Python {
            installed: site.path().join(format!("for-{}", version(&program))),
            source: source.clone(),
            program,
        };
        let into = python.installed.to_str().unwrap();
        // What builds it is there already, in the version that the tests name.
        let quietly = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--disable-pip-version-check",
        ];
        let how = ["--no-deps", "--no-build-isolation", "--target", into, "."];
        python.run(&[&quietly[..], &how].concat());
        python
    };
    found.unwrap().into_iter().map(install).collect()
}

/// Those that `tests/setup` has made.
pub(crate) fn programs() -> anyhow::Result<Vec<PathBuf>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(default, PathBuf::from);
    let folder = target.join("real-servers");
    let entries = folder.read_dir().context("run tests/setup")?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = names
        .filter(|path| path.join(".installed").exists())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("python-client-"))
        })
        .map(|path| path.join("venv/bin/python"))
        .collect();
    found.sort_by_key(|program| minor(program));
    anyhow::ensure!(!found.is_empty(), "run tests/setup");
    Ok(found)
}

fn version(program: &Path) -> String {
    let folder = program
        .ancestors()
        .nth(3)
        .unwrap()
        .to_string_lossy()
        .into_owned();
    folder.rsplit('-').next().unwrap().to_owned()
}

fn minor(program: &Path) -> u32 {
    let version = version(program);
    version
        .rsplit('.')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[test]
fn the_package_passes_its_own_tests() {
    let site = Site::new().unwrap();
    for python in pythons(&site) {
        let said = python.run(&["-W", "error::ResourceWarning", "-m", "unittest"]);
        assert!(said.contains("\nOK"), "{said}");
    }
}

#[test]
fn the_package_is_typed() {
    let site = Site::new().unwrap();
    if let Some(newest) = pythons(&site).last() {
        newest.run(&["-m", "mypy", "--cache-dir", "/dev/null"]);
    }
}

#[test]
fn each_adapter_renews_reports_and_says_that_a_login_is_required() {
    let site = Site::new().unwrap();
    let pythons = pythons(&site);
    let last = pythons.len().saturating_sub(1);
    for (index, python) in pythons.iter().enumerate() {
        // The adapters' own tests run on both; the daemon does not see which Python it is.
        let adapters = if index == last {
            &ADAPTERS[..]
        } else {
            &ADAPTERS[..1]
        };
        for adapter in adapters {
            show(|_| python.command(&["-m", "tests.ask", adapter]));
        }
    }
}

#[test]
fn a_token_is_held_through_its_renewals_without_a_request() {
    let site = Site::new().unwrap();
    for python in pythons(&site) {
        follow(|| python.command(&["-m", "tests.follow", "it", "4"]));
    }
}
