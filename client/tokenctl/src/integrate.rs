//! How other programs get a token: the lines to write into their files.
//!
//! Owns how the lines are printed. Asks no daemon, so that it also answers where none runs. Lines go to standard output and everything
//! about them to standard error, so that they can be appended to a file.

mod clouds;
mod consumer;
mod packages;
mod platforms;
mod programs;
mod table;

use tokend_client::AccountName;

use crate::failure::Failure;
use crate::output;
use consumer::Consumer;
use table::TABLE;

/// The word of the table that stands for the account.
const PLACEHOLDER: &str = "ACCOUNT";
/// How a text of the table begins the account's table in the daemon's configuration, where the name is a key of TOML.
const OF_ACCOUNT: &str = "[account.ACCOUNT";

/// Each consumer's name, with what it is for.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|consumer| (consumer.name, consumer.about))
}

/// Prints the lines for the consumer of this name, or the list of all.
pub(crate) fn run(name: Option<&str>, account: Option<&AccountName>) -> Result<(), Failure> {
    match TABLE.iter().find(|consumer| Some(consumer.name) == name) {
        Some(consumer) => lines(consumer, account),
        None => output::print(list().as_bytes()),
    }
}

fn list() -> String {
    let apart = |(name, about)| match output::is_terminal() {
        true => format!("{name:<16}{about}\n"),
        false => format!("{name}\t{about}\n"),
    };
    names().map(apart).collect()
}

fn lines(consumer: &Consumer, account: Option<&AccountName>) -> Result<(), Failure> {
    output::note(&format!("needs {}", consumer.needs));
    for (at, (place, text)) in consumer.parts.iter().enumerate() {
        if at > 0 {
            output::print(b"\n")?;
        }
        output::note(&format!("in {place}:"));
        output::print(filled(text, account).as_bytes())?;
    }
    Ok(())
}

/// A text of the table for this account. Without one the word of the table stays, in quotes where a name may need them.
fn filled(text: &str, account: Option<&AccountName>) -> String {
    let key = account.map_or("\"ACCOUNT\"".into(), AccountName::toml_key);
    let account = account.map_or(PLACEHOLDER, AccountName::as_str);
    let pieces = text.split(OF_ACCOUNT);
    let pieces: Vec<_> = pieces.map(|it| it.replace(PLACEHOLDER, account)).collect();
    pieces.join(&format!("[account.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_key_of_the_configuration() {
        for (account, key) in [
            (None, "\"ACCOUNT\""),
            (Some("ads"), "ads"),
            (Some("2024"), "2024"),
            (Some("a.b"), "\"a.b\""),
            (Some("bot@example.com"), "\"bot@example.com\""),
        ] {
            let account = account.map(|it| it.parse().unwrap());
            for consumer in TABLE {
                for (place, text) in consumer.parts {
                    let text = filled(text, account.as_ref());
                    let tables = text.lines().filter(|line| line.starts_with("[account."));
                    for table in tables {
                        let rest = table.strip_prefix(&format!("[account.{key}"));
                        assert!(matches!(rest, Some("]" | ".api]")), "{place}: {table}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_consumer_names_the_account_and_fits_a_line() {
        for consumer in TABLE {
            let mut texts = consumer.parts.iter().map(|(_, text)| *text);
            assert!(
                texts.any(|text| text.contains(PLACEHOLDER)),
                "{}",
                consumer.name
            );
            for (place, text) in consumer.parts {
                assert!(text.ends_with('\n') && !text.starts_with('\n'), "{text:?}");
                assert!(!place.is_empty() && !place.contains('\n'), "{place:?}");
            }
            for words in [consumer.about, consumer.needs] {
                assert!(words.len() <= 110 && !words.contains('\n'), "{words}");
            }
            assert!(consumer.name.len() <= 16, "{}", consumer.name);
        }
        assert!(TABLE.is_sorted_by_key(|consumer| consumer.name));
    }
}
