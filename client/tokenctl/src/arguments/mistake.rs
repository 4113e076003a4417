//! What is said about a mistake on the command line.
//!
//! Owns those sentences. They never repeat a word that is no option, nor what stands behind `=`: it may be a token or
//! a password somebody put in the wrong place. That is why clap's own sentences are not used.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Arguments, Command};
use crate::failure::Failure;

/// The help somebody asked for, or what is wrong.
pub(super) fn help_or_mistake(error: &clap::Error) -> Result<Arguments, Failure> {
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
    let what = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return Ok(Arguments {
                socket: None,
                command: Command::Help(error.render().to_string()),
            });
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::UnknownArgument => match option {
            Some(option) => format!("there is no option {option}"),
            None => {
                let advice = "secrets are read from standard input, never from arguments";
                return Err(Failure::usage(
                    "there is a word too many",
                    format!("{advice}\n{SEE}"),
                ));
            }
        },
        ErrorKind::TooManyValues => {
            let advice = "secrets are read from standard input, never from arguments";
            let what = format!("{} takes no value", option.unwrap_or("the option"));
            return Err(Failure::usage(what, format!("{advice}\n{SEE}")));
        }
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::ArgumentConflict => {
            let prior = said(ContextKind::PriorArg).unwrap_or("another option");
            match prior.split(' ').next() == argument.split(' ').next() {
                true => format!("{argument} is given more than once"),
                false => format!("{argument} cannot go with {prior}"),
            }
        }
        ErrorKind::InvalidValue => format!("the value of {argument} is not one of its choices"),
        ErrorKind::InvalidUtf8 => "the command line is not valid UTF-8".to_owned(),
        _ => "the command line is wrong".to_owned(),
    };
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            Some(format!("choose from: {}", valid.join(", ")))
        }
        _ => None,
    };
    let suggested = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    let suggested = suggested
        .into_iter()
        .find_map(said)
        .map(|word| format!("did you mean {word}?"));
    let advice: Vec<_> = suggested
        .into_iter()
        .chain(valid)
        .chain([SEE.to_owned()])
        .collect();
    Err(Failure::usage(what, advice.join("\n")))
}
