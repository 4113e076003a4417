//! Links tokenctl statically where the machine can: loading and binding shared libraries takes longer than everything
//! `tokenctl get` does itself, and a shell script may call it a thousand times.
//!
//! Cargo has no setting for one package of a workspace, and the daemon and `tokenctl-request` must stay dynamic because
//! they ask the system for users and groups, and for addresses of hosts. So this adds the linker arguments that `-C target-feature=+crt-static` would, after it has
//! tried them on a small program. Whatever is missing or fails (no static libc, another linker, a sanitizer, a cross
//! build) means the usual dynamic binary. `TOKENCTL_LINK=dynamic` asks for that one.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Threads and thread-locals are what a wrongly mixed libc breaks first.
const PROBE: &str = r#"
thread_local!(static SEEN: std::cell::Cell<u32> = const { std::cell::Cell::new(7) });
fn main() {
    let seen = std::thread::spawn(|| SEEN.with(|seen| seen.replace(1))).join().unwrap_or_default();
    std::process::exit(if seen == 7 && SEEN.with(|seen| seen.get()) == 7 { 0 } else { 1 });
}
"#;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TOKENCTL_LINK");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let Some(folder) = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .filter(|_| is_wanted())
    else {
        return;
    };
    let Some(arguments) = static_arguments(&folder) else {
        return;
    };
    if probe(&folder, &arguments).unwrap_or(false) {
        for argument in arguments {
            println!("cargo::rustc-link-arg-bin=tokenctl={argument}");
        }
    }
}

/// Only glibc on Linux, built where it runs, and not static already.
fn is_wanted() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let has_static_libc =
        env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|features| features.contains("crt-static"));
    is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && env::var_os("HOST") == env::var_os("TARGET")
        && !has_static_libc
        && !is("TOKENCTL_LINK", "dynamic")
}

/// What the standard library is linked with: the names of shared libraries for rustc, all of glibc's and libgcc's
/// archives for us.
const SHARED: [&str; 7] = ["util", "rt", "pthread", "m", "dl", "c", "gcc_s"];
const ARCHIVES: [&str; 8] = ["util", "rt", "pthread", "m", "dl", "c", "gcc", "gcc_eh"];

/// What makes the linker take archives where rustc names shared libraries: a folder that is searched first, in which
/// those names stand for the archives. One shared library left over would make a binary that crashes at its start.
fn static_arguments(folder: &Path) -> Option<[String; 2]> {
    let archives: Vec<String> = ARCHIVES.into_iter().map(archive).collect::<Option<_>>()?;
    let group = format!("GROUP ( {} )\n", archives.join(" "));
    for name in SHARED {
        fs::write(folder.join(format!("lib{name}.so")), &group).ok()?;
    }
    // Position-independent, so that the address space stays randomised.
    Some(["-static-pie".to_owned(), format!("-L{}", folder.display())])
}

/// Where the compiler driver finds an archive.
fn archive(name: &str) -> Option<String> {
    let driver = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let found = Command::new(driver)
        .arg(format!("-print-file-name=lib{name}.a"))
        .output()
        .ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    // A name that is not found comes back as it was.
    (Path::new(&path).is_absolute() && Path::new(&path).exists()).then_some(path)
}

/// Whether a program linked with these arguments runs.
fn probe(folder: &Path, arguments: &[String]) -> io::Result<bool> {
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    fs::write(&source, PROBE)?;
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition=2024", "-Copt-level=0"])
        .arg(&source)
        .arg("-o")
        .arg(&program);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(
            [std::ffi::OsStr::new("linker="), &linker]
                .into_iter()
                .collect::<std::ffi::OsString>(),
        );
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    rustc.args(
        arguments
            .iter()
            .map(|argument| format!("-Clink-arg={argument}")),
    );
    Ok(rustc.output()?.status.success() && Command::new(&program).output()?.status.success())
}
