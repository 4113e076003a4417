//! Files: whose they are, how they are renamed, what a crash leaves.

use super::*;

#[test]
fn directories_that_have_the_names_of_older_files_do_not_stop_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let blocked = |number: u32| dir.path().join(format!("audit.{number}"));
    fs::create_dir_all(blocked(1).join("full")).unwrap();
    fs::create_dir(blocked(3)).unwrap();
    let small = AuditFile {
        max_size: 400,
        ..settings(&path)
    };
    let mut file = File::open(&small).unwrap();
    for seq in 1..=20 {
        write(&mut file, &[record(seq)]);
    }
    assert!(lines(&path).last().is_some_and(|last| last["seq"] == 20));
    // Two are kept.
    assert!(!lines(&blocked(2)).is_empty() && !lines(&blocked(4)).is_empty());
    assert!(!blocked(5).exists() && blocked(1).join("full").is_dir() && blocked(3).is_dir());
}

#[test]
fn a_record_is_one_line_and_a_file_is_made_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let mut file = File::open(&settings(&path)).unwrap();
    write(&mut file, &[record(1), record(2)]);
    let found = lines(&path);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["time"], "2023-11-14T22:13:20.123Z");
    assert_eq!(found[0]["detail"], r"two\nlines \u{1b}[2J");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_not_ours_alone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let why = |path: &Path| File::open(&settings(path)).unwrap_err().to_string();
    fs::write(at("real"), "").unwrap();
    fs::set_permissions(at("real"), Permissions::from_mode(0o600)).unwrap();
    symlink(at("real"), at("link")).unwrap();
    assert!(why(&at("link")).contains("symbolic link"));
    symlink(at("nowhere"), at("dangling")).unwrap();
    assert!(why(&at("dangling")).contains("symbolic link"));
    assert!(!at("nowhere").exists());
    fs::hard_link(at("real"), at("second")).unwrap();
    assert!(why(&at("second")).contains("one name"));
    fs::write(at("open"), "").unwrap();
    fs::set_permissions(at("open"), Permissions::from_mode(0o644)).unwrap();
    assert!(why(&at("open")).contains("chmod"));
    let shared = at("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    assert!(why(&shared.join("audit")).contains("others may write to its directory"));
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    assert!(why(&at("fifo")).contains("plain file"));
    assert!(why(&at("absent/audit")).contains("absent"));
}

#[test]
fn a_half_line_of_a_daemon_that_was_killed_spoils_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    fs::write(&path, "{\"seq\":1}\n{\"se").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut file = File::open(&settings(&path)).unwrap();
    write(&mut file, &[record(1)]);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(serde_json::from_str::<Json>(text.lines().last().unwrap()).is_ok());
}

#[test]
fn a_long_file_is_renamed_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let mut settings = settings(&path);
    settings.max_size = 64 << 10;
    let mut file = File::open(&settings).unwrap();
    let records: Vec<_> = (1..=4000).map(record).collect();
    for batch in records.chunks(100) {
        write(&mut file, batch);
    }
    let numbered = |number: u32| dir.path().join(format!("audit.{number}"));
    let kept: Vec<_> = [numbered(2), numbered(1), path]
        .iter()
        .flat_map(|path| {
            assert!(fs::metadata(path).unwrap().len() <= settings.max_size);
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
            lines(path)
        })
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    let first = *kept.first().unwrap();
    assert!(first > 1, "the oldest are gone");
    assert_eq!(kept, (first..=4000).collect::<Vec<_>>(), "without a gap");
    assert!(!numbered(3).exists());
}

#[test]
fn what_could_not_be_opened_after_its_renaming_costs_no_older_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let mut settings = settings(&path);
    settings.max_size = 64 << 10;
    let mut file = File::open(&settings).unwrap();
    let full: Vec<_> = (1..=250).map(record).collect();
    write(&mut file, &full);
    // As after a renaming whose next step failed, twice over.
    let first = dir.path().join("audit.1");
    fs::rename(&path, &first).unwrap();
    let before = fs::read(&first).unwrap();
    let mut again = Vec::new();
    while !path.exists() {
        assert!(again.len() < 1000, "no new file was begun");
        again.push(record(251));
        write(&mut file, &again[again.len() - 1..]);
    }
    assert!(
        fs::read(&first).unwrap().starts_with(&before),
        "it was renamed once more"
    );
    assert!(!dir.path().join("audit.2").exists());
}
