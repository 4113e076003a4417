//! Every file of every fuzzing corpus, fed to its subject, and each of them cut and altered in every place.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a corpus that cannot be read fails the test"
)]

use std::fs;
use std::path::PathBuf;

use tokend_subjects::{SUBJECTS, Subject};

/// Larger files are only fed as they are: cutting them in every place takes time quadratic in their length.
const ALTERED_UP_TO: usize = 4 * 1024;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = fs::read_dir(folder.join(name))
        .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn feed(name: &str, subject: Subject) {
    let files = corpus(name);
    assert!(
        files.len() >= 5,
        "the corpus of {name} has {} files",
        files.len()
    );
    for (path, bytes) in files {
        println!("{}", path.display());
        subject(&bytes);
        if bytes.len() > ALTERED_UP_TO {
            continue;
        }
        // A stride, so that the work for each file stays the same whatever its length. The fuzzer goes deeper.
        let stride = bytes.len() / 12 + 1;
        for at in (0..bytes.len()).step_by(stride) {
            subject(bytes.get(..at).unwrap_or_default());
            let mut altered = bytes.clone();
            for to in [0, 0xff, b'"'] {
                if let Some(byte) = altered.get_mut(at) {
                    *byte = to;
                }
                subject(&altered);
            }
        }
    }
}

#[test]
fn every_file_of_every_corpus_is_harmless() {
    for (name, subject) in SUBJECTS {
        feed(name, subject);
    }
}
