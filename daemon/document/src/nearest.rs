//! Suggestions for misspelt words.

use std::collections::HashSet;

/// The longest word that is compared with valid ones, in bytes: time and memory grow with the product of the lengths.
const LONGEST_WORD: usize = 64;

/// Help that names the nearest valid word, if one is near, and all valid ones, each once.
pub fn choose_from(word: &str, valid: &[&str]) -> String {
    let mut seen = HashSet::new();
    let all = valid
        .iter()
        .filter(|word| seen.insert(**word))
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(word, valid) {
        Some(near) => format!("did you mean `{near}`? valid here: {all}"),
        None if valid.is_empty() => "nothing is valid here".to_owned(),
        None => format!("valid here: {all}"),
    }
}

/// The valid word most like `word`, if it is likely to be the intended one.
pub fn nearest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let likeness = strsim::jaro_winkler(&word, &candidate);
        // The first measure misses two swapped letters in a short word.
        let near = likeness > 0.75 || strsim::damerau_levenshtein(&word, &candidate) <= 1;
        near.then_some(likeness)
    };
    valid
        .iter()
        .filter_map(|candidate| Some((likeness(candidate)?, *candidate)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
