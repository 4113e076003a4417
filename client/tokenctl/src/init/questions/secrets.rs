//! Where the secrets of an account come from.
//!
//! Owns these questions. None of them asks for a secret itself.

use tokend_client::AccountName;

use super::{Question, Questions, option_of};
use crate::account_file::SecretPlace;
use crate::failure::Failure;
use crate::init::terminal::say;
use crate::init::tokend::{FieldNeed, Needs};

/// The answers, by number.
const PLACES: [&str; 5] = [
    "a file that only the daemon's user or root can read",
    "a command that prints it",
    "a systemd credential of the daemon's unit",
    "entered now, and sealed into the daemon's store",
    "there is none",
];

impl Questions<'_> {
    pub(super) fn secrets(
        &mut self,
        account: &AccountName,
        needs: &Needs,
    ) -> Result<Vec<(String, SecretPlace)>, Failure> {
        let fields: Vec<_> = needs.fields.iter().filter(|field| field.secret).collect();
        let known = self.known(&fields)?;
        let mut secrets: Vec<(String, SecretPlace)> = Vec::new();
        for field in fields {
            let own = known.iter().find(|(name, _)| *name == field.name);
            if let Some(own) = own.filter(|_| self.before.is_none()) {
                secrets.push(own.clone());
                continue;
            }
            let is_asked = self.is_asked && (field.required || !self.is_brief);
            if !is_asked {
                if field.required {
                    self.missing.push(format!("--secret {}=PLACE", field.name));
                }
                continue;
            }
            let is_first = !secrets
                .iter()
                .any(|(_, place)| *place == SecretPlace::Login);
            let can_be_entered = needs.login && (field.required || is_first);
            let place = self.place_of(account, field, can_be_entered)?;
            secrets.extend(place.map(|place| (field.name.clone(), place)));
        }
        // What is asked for at the end is what every login needs, or else the one secret that it can do without.
        let is_needed = |name: &String| {
            let mut required = needs.fields.iter().filter(|field| field.required);
            needs.login && required.any(|field| field.name == *name)
        };
        let is_entered = |(_, place): &&(String, SecretPlace)| *place == SecretPlace::Login;
        let entered: Vec<_> = secrets.iter().filter(is_entered).collect();
        let is_asked_for = |name: &String| needs.login && entered.len() == 1 || is_needed(name);
        if let Some((name, _)) = entered.iter().find(|(name, _)| !is_asked_for(name)) {
            let advice = match needs.login {
                true => format!(
                    "say where it is: --secret {name}=file:PATH; or leave it out, and enter it afterwards: tokenctl login {account} --field {name}"
                ),
                false => format!("say where it is: --secret {name}=file:PATH"),
            };
            return Err(Failure::usage(
                format!("{name} cannot be entered now for this account"),
                advice,
            ));
        }
        Ok(secrets)
    }

    /// What the command line says, each with its field.
    fn known(&self, fields: &[&FieldNeed]) -> Result<Vec<(String, SecretPlace)>, Failure> {
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        let required = fields.iter().filter(|field| field.required);
        let required: Vec<_> = required.map(|field| field.name.as_str()).collect();
        let only = match (required.as_slice(), names.as_slice()) {
            ([one], _) | ([], [one]) => Some(*one),
            _ => None,
        };
        let mut known: Vec<(String, SecretPlace)> = Vec::new();
        for (field, place) in &self.options.secrets {
            let field = match (field.as_deref(), only) {
                (Some(field), _) if names.contains(&field) => field,
                (None, Some(only)) => only,
                _ => {
                    return Err(Failure::usage(
                        "--secret does not say for which secret of this dialect it is",
                        match names.is_empty() {
                            true => "this dialect has none with these options".to_owned(),
                            false => format!(
                                "write --secret FIELD=PLACE; fields are: {}",
                                names.join(", ")
                            ),
                        },
                    ));
                }
            };
            if known.iter().any(|(name, _)| name == field) {
                return Err(Failure::usage(
                    format!("--secret says twice where {field} is"),
                    "leave one of them out",
                ));
            }
            known.push((field.to_owned(), place.clone()));
        }
        Ok(known)
    }

    /// Asks where one secret comes from.
    fn place_of(
        &mut self,
        account: &AccountName,
        field: &FieldNeed,
        can_be_entered: bool,
    ) -> Result<Option<SecretPlace>, Failure> {
        let mut choices: Vec<usize> = vec![0, 1, 2];
        if can_be_entered {
            choices.insert(0, 3);
        }
        if !field.required {
            choices.push(4);
        }
        say(&format!("Where does the {} come from?", field.name));
        for (at, choice) in choices.iter().enumerate() {
            let about = PLACES.get(*choice).copied().unwrap_or_default();
            say(&format!("  {}  {about}", at + 1));
        }
        let default = if field.required { 1 } else { choices.len() };
        let chosen = |word: &str| {
            let at = word.parse::<usize>().ok()?.checked_sub(1)?;
            choices.get(at).copied()
        };
        let answer = self.answer(&Question {
            option: format!("--secret {}=PLACE", field.name),
            text: "number".to_owned(),
            known: None,
            default: Some(default.to_string()),
            required: true,
            check: &|word| match chosen(word) {
                Some(_) => Ok(()),
                None => Err(format!(
                    "write a number from 1 to {}; never the secret itself",
                    choices.len()
                )),
            },
        })?;
        let file = self.place.secret(account.as_str());
        let (text, default, kind) = match chosen(&answer.unwrap_or_default()) {
            Some(0) => ("path of the file", Some(file.display().to_string()), "file"),
            Some(1) => (
                "the command and its words, without a shell",
                None,
                "command",
            ),
            Some(2) => {
                let name = format!("{account}-{}", field.name.replace('_', "-"));
                ("name of the credential", Some(name), "credential")
            }
            Some(3) => return Ok(Some(SecretPlace::Login)),
            _ => return Ok(None),
        };
        let read = |value: &str| SecretPlace::parse(&format!("{kind}:{value}"));
        let question = Question {
            option: format!("--secret {}=PLACE", field.name),
            text: text.to_owned(),
            known: None,
            default,
            required: true,
            check: &|value| read(value).map(drop).map_err(str::to_owned),
        };
        let answer = self.answer(&question)?.unwrap_or_default();
        read(&answer)
            .map(Some)
            .map_err(|why| Failure::usage(option_of(&question), why))
    }
}
