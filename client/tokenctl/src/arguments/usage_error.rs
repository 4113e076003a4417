//! The sentences about usage errors on the command line.
//!
//! Owns those sentences. They repeat a word that is no option only if it is nearly a valid one, and never the
//! text behind `=`: it may be a token or a password in the wrong place. For that reason clap's own sentences
//! are not used.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// The requested help, or the usage error; `command` is the command that was named.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each kind of usage error"
)]
pub(super) fn help_or_error(error: &clap::Error, command: Option<&str>) -> Result<String, Failure> {
    const SEE: &str = "see: tokenctl --help";
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let argument = said(ContextKind::InvalidArg).unwrap_or_default();
    // Everything behind `=` and every word that is no option may be a secret.
    let option = argument
        .split(['=', ' '])
        .next()
        .filter(|word| word.starts_with('-'));
    let suggested = suggested(error);
    let what = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return Ok(error.render().to_string());
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::UnknownArgument => match option {
            Some(option) => format!("unknown option {option}"),
            None => return Err(too_many(command, SEE)),
        },
        ErrorKind::TooManyValues => {
            let advice = "secrets are read from standard input, never from arguments";
            let what = format!("{} takes no value", option.unwrap_or("the option"));
            return Err(Failure::usage(what, format!("{advice}\n{SEE}")));
        }
        ErrorKind::InvalidSubcommand => match suggested {
            Some((wrong, _)) => format!("unknown command {wrong}"),
            None => "unknown command".to_owned(),
        },
        ErrorKind::MissingRequiredArgument if argument.starts_with("<ACCOUNT") => {
            let command = command.unwrap_or("get");
            let rest = if command == "exec" { " -- COMMAND" } else { "" };
            let advice = format!(
                "write: tokenctl {command} ACCOUNT{rest}; `tokenctl list` shows the accounts you may use"
            );
            return Err(Failure::usage("the account is missing", advice));
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::ArgumentConflict => {
            let prior = said(ContextKind::PriorArg).unwrap_or("another option");
            match prior.split(' ').next() == argument.split(' ').next() {
                true => format!("{argument} is given more than once"),
                false => format!("{argument} cannot go with {prior}"),
            }
        }
        ErrorKind::InvalidValue => match suggested {
            Some((wrong, _)) => format!("{wrong} is not one of the choices of {argument}"),
            None => format!("the value of {argument} is not one of its choices"),
        },
        ErrorKind::InvalidUtf8 => "the command line is not valid UTF-8".to_owned(),
        _ => "the command line is wrong".to_owned(),
    };
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            Some(format!("choose from: {}", valid.join(", ")))
        }
        _ => None,
    };
    let suggested = suggested.map(|(_, right)| format!("did you mean {right}?"));
    let advice: Vec<_> = suggested
        .into_iter()
        .chain(valid)
        .chain([SEE.to_owned()])
        .collect();
    Err(Failure::usage(what, advice.join("\n")))
}

/// A written word and the valid word it is close to, if any. Clap itself suggests `login` for `logs`.
fn suggested(error: &clap::Error) -> Option<(&str, &str)> {
    let kinds = [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (
            ContextKind::InvalidSubcommand,
            ContextKind::SuggestedSubcommand,
        ),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ];
    kinds.into_iter().find_map(|(wrong, right)| {
        let ContextValue::String(wrong) = error.get(wrong)? else {
            return None;
        };
        // The text behind `=` is the caller's own value.
        let wrong = wrong.split(['=', ' ']).next()?;
        let right: Vec<&String> = match error.get(right)? {
            ContextValue::String(right) => vec![right],
            ContextValue::Strings(right) => right.iter().collect(),
            _ => return None,
        };
        let near = right
            .into_iter()
            .map(|right| (strsim::osa_distance(wrong, right), right));
        let (_, right) = near.filter(|(far, _)| *far <= slips(wrong)).min()?;
        Some((wrong, right.as_str()))
    })
}

/// How many typing mistakes a word of this length may have and still be recognised.
fn slips(word: &str) -> usize {
    match word.trim_start_matches('-').chars().count() {
        0..=4 => 1,
        _ => 2,
    }
}

/// The error for a word that a command has no place for.
fn too_many(command: Option<&str>, see: &str) -> Failure {
    let what = match command {
        // People put secrets behind these.
        None | Some("login" | "reject") => {
            let advice = "secrets are read from standard input, never from arguments";
            return Failure::usage("there is an argument too many", format!("{advice}\n{see}"));
        }
        Some(command @ ("get" | "watch" | "refresh" | "forget" | "logs")) => {
            format!("{command} takes one account, and another word follows it")
        }
        Some(command @ ("status" | "doctor")) => {
            format!("{command} takes at most one account, and another word follows it")
        }
        Some("integrate") => {
            "integrate takes a name and one account, and another word follows them".to_owned()
        }
        // People put secrets behind this too.
        Some("init") => {
            let advice = "write answers as options: --account ads; secrets are never among them";
            return Failure::usage(
                "init takes options only, and a word follows it",
                format!("{advice}\n{see}"),
            );
        }
        Some("request") => "request takes a method and a URL, and another word follows them".into(),
        Some(command) => format!("{command} takes no word, and one follows it"),
    };
    let advice = match command {
        Some(command @ ("get" | "watch" | "refresh" | "forget" | "logs")) => {
            format!("run it once for each account: tokenctl {command} ACCOUNT\n{see}")
        }
        _ => see.to_owned(),
    };
    Failure::usage(what, advice)
}
