//! What the library brings along.

use std::process::Command;

/// The packages that a program gets with the library, without those of tests.
fn packages(features: &str) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "tokend-client"])
        .args(["--edges", "normal", "--prefix", "none"])
        .args(["--no-default-features", "--features", features])
        .output()
        .expect("cargo starts");
    let stderr = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{stderr}");
    let lines = String::from_utf8(tree.stdout).unwrap();
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_blocking_client_brings_no_runtime() {
    let is_runtime = |name: &String| {
        name.starts_with("tokio") || name.starts_with("futures") || name == "interprocess"
    };
    let blocking = packages("blocking,http");
    assert!(blocking.contains(&"rustix".to_owned()), "{blocking:?}");
    let runtimes: Vec<_> = blocking.iter().filter(|name| is_runtime(name)).collect();
    assert!(runtimes.is_empty(), "{runtimes:?}");
    // The same question finds it where it is.
    assert!(packages("async").iter().any(is_runtime));
}
