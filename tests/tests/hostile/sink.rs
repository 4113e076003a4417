//! A sink on a disk that has no room.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use tokend_harness::clock::{PATIENCE, wait_for, wait_until};

use crate::disk::SmallDisk;
use crate::scene::{Scene, WELL};

struct Running(Child);

impl Running {
    fn start(scene: &Scene, configuration: &Path, errors: &Path) -> Self {
        let mut sink = Command::new(&scene.site.binaries().tokenctl);
        sink.arg("--socket")
            .arg(scene.site.socket())
            .args(["sink", "--file"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stderr(fs::File::create(errors).unwrap());
        Self(sink.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_full_disk_leaves_the_token_before_and_is_reported() {
    let scene = Scene::new("", "", &[]);
    let _daemon = scene.site.start().unwrap();
    let out = scene.site.path().join("out");
    let disk = SmallDisk::mount(&out, 64);
    let file = out.join("token");
    let configuration = scene.site.path().join("feed.toml");
    let text = format!("account = \"{WELL}\"\npath = \"{}\"\n", file.display());
    fs::write(&configuration, text).unwrap();
    let errors = scene.site.path().join("sink.err");
    let _running = Running::start(&scene, &configuration, &errors);
    let now = || fs::read_to_string(&file).ok();
    let first = wait_for("a token in the file", PATIENCE, now).unwrap();
    let ballast = disk.fill();
    scene.well();
    let newest = scene.sim.newest_access(WELL).unwrap();
    let says = |words: &str| {
        wait_until(words, PATIENCE, || {
            fs::read_to_string(&errors).unwrap().contains(words)
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", fs::read_to_string(&errors)));
    };
    says("No space left on device");
    assert_eq!(now().as_deref(), Some(&*first), "whole, until its own end");
    let names: Vec<_> = fs::read_dir(&out).unwrap().flatten().collect();
    assert_eq!(names.len(), 3, "a lock, and nothing half: {names:?}");
    drop(ballast);
    let what = "the newest token in the file";
    wait_until(what, PATIENCE, || now().as_deref() == Some(&*newest)).unwrap();
    says("its file has the newest token again");
}

#[test]
fn what_a_killed_sink_left_goes_also_where_nothing_can_be_written() {
    let scene = Scene::new("", "", &[]);
    let _daemon = scene.site.start().unwrap();
    let out = scene.site.path().join("out");
    let disk = SmallDisk::mount(&out, 64);
    let file = out.join("token");
    let configuration = scene.site.path().join("feed.toml");
    let text = format!("account = \"{WELL}\"\npath = \"{}\"\n", file.display());
    fs::write(&configuration, text).unwrap();
    let errors = scene.site.path().join("sink.err");
    let killed = Running::start(&scene, &configuration, &errors);
    let now = || fs::read_to_string(&file).ok().filter(|it| !it.is_empty());
    let before = wait_for("a token in the file", PATIENCE, now).unwrap();
    drop(killed);
    let _ballast = disk.fill();
    scene.well();
    assert_ne!(scene.sim.newest_access(WELL), Some(before));
    let _running = Running::start(&scene, &configuration, &errors);
    wait_until("the old token to go", PATIENCE, || !file.exists()).unwrap();
}
