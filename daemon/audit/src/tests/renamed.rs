//! A file that is not there any more under its name takes no records.

use super::*;

#[test]
fn records_go_to_the_file_that_has_the_name_whoever_renamed_or_removed_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    let seqs = |path: &Path| -> Vec<u64> {
        let lines = lines(path);
        lines.iter().map(|it| it["seq"].as_u64().unwrap()).collect()
    };
    // Two at once, as while a reload overlaps what is left to write; the first renames, with none kept removes.
    for keep in [2, 0] {
        let settings = AuditFile {
            max_size: 64 << 10,
            keep,
            ..settings(&path)
        };
        let (mut one, mut other) = (
            File::open(&settings).unwrap(),
            File::open(&settings).unwrap(),
        );
        let inode = || fs::metadata(&path).unwrap().ino();
        write(&mut one, &[record(1)]);
        let before = inode();
        let mut seq = 1;
        while inode() == before {
            assert!(seq < 4000, "no new file was begun");
            seq += 1;
            write(&mut one, &[record(seq)]);
        }
        write(&mut other, &[record(seq + 1)]);
        write(&mut one, &[record(seq + 2)]);
        assert_eq!(seqs(&path), [seq, seq + 1, seq + 2], "{keep} kept");
        fs::remove_file(&path).unwrap();
    }
    // What is put there is looked at like any other.
    let mut file = File::open(&settings(&path)).unwrap();
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), &path).unwrap();
    let refused = file.write(&[record(1)], &mut 0).unwrap_err();
    assert!(refused.to_string().contains("symbolic link"), "{refused}");
    fs::remove_file(&path).unwrap();
    write(&mut file, &[record(2)]);
    assert_eq!(seqs(&path), [2]);
}
