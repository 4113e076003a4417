//! What is asked for an account, and in which order.
//!
//! Owns which answers are needed, whether they come from options or from a person, and what is missing where nobody can be asked. Whether an
//! answer is right is for `tokend check` to say.

mod secrets;

use tokend_client::AccountName;
use url::Url;

use super::place::Place;
use super::terminal::{ask, say};
use super::tokend::{Needs, Tokend};
use crate::account_file::{AccountFile, Caller};
use crate::arguments::{Init, new_account};
use crate::failure::Failure;

/// The questions for one account.
pub(super) struct Questions<'a> {
    options: &'a Init,
    tokend: &'a Tokend,
    place: &'a Place,
    /// Whether a person can be asked.
    is_asked: bool,
    /// Whether what is not needed is not asked either.
    is_brief: bool,
    /// The answers of the round before, which are the defaults of this one.
    before: Option<AccountFile>,
    /// The options that are needed and missing.
    missing: Vec<String>,
}

/// One question.
struct Question<'q> {
    /// How the answer is written as an option.
    option: String,
    text: String,
    /// The answer that stands on the command line.
    known: Option<String>,
    /// The answer of Enter.
    default: Option<String>,
    required: bool,
    check: &'q dyn Fn(&str) -> Result<(), String>,
}

impl<'a> Questions<'a> {
    pub(super) fn new(
        options: &'a Init,
        tokend: &'a Tokend,
        place: &'a Place,
        is_asked: bool,
    ) -> Self {
        Self {
            options,
            tokend,
            place,
            is_asked,
            is_brief: options.yes,
            before: None,
            missing: Vec::new(),
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The next round has these answers as its defaults.
    pub(super) fn again(&mut self, file: AccountFile) {
        self.before = Some(file);
    }

    /// The account's name.
    pub(super) fn account(&mut self) -> Result<AccountName, Failure> {
        if let Some(name) = &self.options.account {
            return Ok(name.clone());
        }
        if !self.is_asked {
            let mut missing = vec!["--account NAME"];
            missing.extend(self.options.dialect.is_none().then_some("--dialect NAME"));
            return Err(lacking(&missing));
        }
        let answer = self.answer(&Question {
            option: "--account NAME".to_owned(),
            text: "account name, as programs will ask for it (such as ads)".to_owned(),
            known: None,
            default: None,
            required: true,
            check: &|name| new_account(name).map(drop).map_err(|why| why.in_one_line()),
        })?;
        new_account(&answer.unwrap_or_default())
    }

    /// Everything else.
    pub(super) fn rest(&mut self, name: &AccountName) -> Result<AccountFile, Failure> {
        let dialect = self.dialect()?;
        let mut options = self.options.options.clone();
        let needs = self.tokend.needs(&dialect, &options)?;
        let base_url = self.address(&needs, &mut options)?;
        self.choices(&needs, &mut options)?;
        // Which fields there are depends on the options.
        let needs = self.tokend.needs(&dialect, &options)?;
        let fields = self.fields(&needs)?;
        let secrets = self.secrets(name, &needs)?;
        let callers = self.callers()?;
        if !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(String::as_str).collect();
            return Err(lacking(&missing));
        }
        Ok(AccountFile {
            name: name.clone(),
            dialect,
            base_url,
            fields,
            secrets,
            options,
            callers,
            can_login: needs.login,
        })
    }

    fn dialect(&mut self) -> Result<String, Failure> {
        let known = self.options.dialect.clone();
        if !self.is_asked && known.is_none() {
            return Err(lacking(&["--dialect NAME"]));
        }
        let dialects = self.tokend.dialects()?;
        let found = |word: &str| {
            let number = word.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
            let by_number = number.and_then(|at| dialects.get(at));
            let named = by_number.or_else(|| dialects.iter().find(|(name, _)| name == word));
            named.map(|(name, _)| name.clone())
        };
        if known.is_none() || self.before.is_some() {
            say("Which dialect does the provider speak?");
            for (at, (name, about)) in dialects.iter().enumerate() {
                say(&format!("  {}  {name:<20}{about}", at + 1));
            }
        }
        let default = self.before.as_ref().map(|file| file.dialect.clone());
        let answer = self.answer(&Question {
            option: "--dialect NAME".to_owned(),
            text: "number or name".to_owned(),
            known,
            default,
            required: true,
            check: &|word| match found(word) {
                Some(_) => Ok(()),
                None => Err("there is no such dialect; `tokend dialect list` shows them, and `man tokend-dialect` how to describe another provider".to_owned()),
            },
        })?;
        Ok(found(&answer.unwrap_or_default()).unwrap_or_default())
    }

    /// The base URL. Where the path of the token endpoint is an option, one address says both.
    fn address(
        &mut self,
        needs: &Needs,
        options: &mut Vec<(String, String)>,
    ) -> Result<Option<String>, Failure> {
        let path = needs.options.iter().find(|option| option.path);
        let path = path.filter(|path| !options.iter().any(|(name, _)| *name == path.name));
        let (token_url, base_url) = (&self.options.token_url, &self.options.base_url);
        if token_url.is_some() && path.is_none() {
            return Err(Failure::usage(
                "this dialect has a path of its own for tokens, or --option says it already",
                "write --base-url in place of --token-url",
            ));
        }
        if !needs.base_url && base_url.is_none() {
            return Ok(None);
        }
        let before = self.before.as_ref();
        let default = before.and_then(|file| file.base_url.clone());
        let Some(path) = path.filter(|_| base_url.is_none()) else {
            return self.answer(&Question {
                option: "--base-url URL".to_owned(),
                text: "address of the provider (such as https://ads.example.com)".to_owned(),
                known: base_url.clone(),
                default,
                required: true,
                check: &|url| read_url(url).map(drop),
            });
        };
        let written = before.and_then(|file| {
            let (_, path) = file.options.iter().find(|(name, _)| *name == path.name)?;
            Some(format!("{}{path}", file.base_url.as_ref()?))
        });
        let answer = self.answer(&Question {
            option: "--token-url URL".to_owned(),
            text: "address of the token endpoint (such as https://id.example.com/oauth/token)"
                .to_owned(),
            known: token_url.clone(),
            default: written.or(default),
            required: true,
            check: &|url| read_url(url).map(drop),
        })?;
        let Some((base_url, own_path)) = answer.and_then(|url| read_url(&url).ok()) else {
            return Ok(None);
        };
        if path.default.as_ref() != Some(&own_path) {
            options.push((path.name.clone(), own_path));
        }
        Ok(Some(base_url))
    }

    /// Options that have choices, or that are needed.
    fn choices(
        &mut self,
        needs: &Needs,
        options: &mut Vec<(String, String)>,
    ) -> Result<(), Failure> {
        for option in &needs.options {
            let is_known = options.iter().any(|(name, _)| *name == option.name);
            let is_asked = option.required || !option.choices.is_empty();
            if is_known || !is_asked || option.path {
                continue;
            }
            let choices = match option.choices.is_empty() {
                true => String::new(),
                false => format!(" ({})", option.choices.join(", ")),
            };
            let before = self.before.as_ref().and_then(|file| {
                let mut options = file.options.iter();
                let (_, value) = options.find(|(name, _)| *name == option.name)?;
                Some(value.clone())
            });
            let answer = self.answer(&Question {
                option: format!("--option {}=VALUE", option.name),
                text: format!("{}: {}{choices}", option.name, option.description),
                known: None,
                default: before.or_else(|| option.default.clone()),
                required: option.required,
                check: &|value| match option.choices.is_empty()
                    || option.choices.iter().any(|choice| choice == value)
                {
                    true => Ok(()),
                    false => Err(format!("choose from: {}", option.choices.join(", "))),
                },
            })?;
            if let Some(value) = answer.filter(|value| option.default.as_ref() != Some(value)) {
                options.push((option.name.clone(), value));
            }
        }
        Ok(())
    }

    /// Fields that are not secret.
    fn fields(&mut self, needs: &Needs) -> Result<Vec<(String, String)>, Failure> {
        let mut fields = Vec::new();
        let plain = needs.fields.iter().filter(|field| !field.secret);
        for field in plain {
            let value = |all: &[(String, String)]| {
                let mut all = all.iter();
                let found = all.find(|(name, _)| *name == field.name);
                found.map(|(_, value)| value.clone())
            };
            let about = match field.description.as_str() {
                "" => String::new(),
                about => format!(": {about}"),
            };
            let rest = if field.required {
                ""
            } else {
                " (Enter leaves it out)"
            };
            let option = match field.name.as_str() {
                "username" => "--username NAME".to_owned(),
                "client_id" => "--client-id ID".to_owned(),
                "scope" => "--scope SCOPE".to_owned(),
                name => format!("--field {name}=VALUE"),
            };
            let answer = self.answer(&Question {
                option,
                text: format!("{}{about}{rest}", field.name),
                known: value(&self.options.fields),
                default: self.before.as_ref().and_then(|file| value(&file.fields)),
                required: field.required,
                check: &|_| Ok(()),
            })?;
            fields.extend(answer.map(|value| (field.name.clone(), value)));
        }
        // What the dialect does not know is in the file too, so that the check says so.
        let unknown = self.options.fields.iter();
        let unknown = unknown.filter(|(name, _)| !needs.fields.iter().any(|it| it.name == *name));
        fields.extend(unknown.cloned());
        Ok(fields)
    }

    /// Who may have the token. A user's own daemon has no other callers.
    fn callers(&mut self) -> Result<Vec<Caller>, Failure> {
        let options = &self.options.callers;
        if !self.is_asked || !self.place.is_system || self.is_brief || !options.is_empty() {
            return Ok(options.clone());
        }
        let person = std::env::var("SUDO_USER").ok();
        let person = person.filter(|name| !name.is_empty());
        let read = |words: &str| -> Result<Vec<Caller>, &'static str> {
            let words = words.split([' ', ',']).filter(|word| !word.is_empty());
            words.map(Caller::parse).collect()
        };
        let answer = self.answer(&Question {
            option: "--allow WHO".to_owned(),
            text: "who may have its token: users, group:NAME, unit:NAME.service, with blanks between them".to_owned(),
            known: None,
            default: person.or_else(|| Some("root".to_owned())),
            required: false,
            check: &|words| read(words).map(drop).map_err(str::to_owned),
        })?;
        read(&answer.unwrap_or_default()).map_err(|why| Failure::usage(why, "run it again"))
    }

    /// The answer of the command line, else of the person.
    fn answer(&mut self, question: &Question<'_>) -> Result<Option<String>, Failure> {
        if let Some(known) = question.known.as_ref().filter(|_| self.before.is_none()) {
            return match (question.check)(known) {
                Ok(()) => Ok(Some(known.clone())),
                Err(why) => Err(Failure::usage(
                    format!("{} is wrong", option_of(question)),
                    why,
                )),
            };
        }
        let is_asked = self.is_asked && (question.required || !self.is_brief);
        if !is_asked {
            if question.required {
                self.missing.push(question.option.clone());
            }
            return Ok(None);
        }
        let default = question.default.as_ref().or(question.known.as_ref());
        let shown = default
            .map(|default| format!(" [{default}]"))
            .unwrap_or_default();
        loop {
            let answer = ask(&format!("{}{shown}: ", question.text))?;
            let answer = match (answer.as_str(), default) {
                ("", Some(default)) => default.clone(),
                ("", None) if !question.required => return Ok(None),
                ("", None) => {
                    say("  an answer is needed; Ctrl-C ends this, and nothing is written");
                    continue;
                }
                _ => answer,
            };
            match (question.check)(&answer) {
                Ok(()) => return Ok(Some(answer)),
                Err(why) => say(&format!("  {why}")),
            }
        }
    }
}

/// Scheme and host, and the path behind them.
fn read_url(text: &str) -> Result<(String, String), String> {
    let wrong = || "write a whole address with https:// and without user, ? and #".to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let is_ours = ["https", "http"].contains(&url.scheme()) && url.username().is_empty();
    match (
        url.host_str(),
        is_plain && is_ours && url.password().is_none(),
    ) {
        (Some(_), true) => Ok((url.origin().ascii_serialization(), url.path().to_owned())),
        _ => Err(wrong()),
    }
}

/// The option without its value.
fn option_of<'q>(question: &'q Question<'_>) -> &'q str {
    question.option.split(' ').next().unwrap_or_default()
}

fn lacking(missing: &[&str]) -> Failure {
    Failure::usage(
        format!(
            "nobody can be asked without a terminal, and these are missing: {}",
            missing.join(", ")
        ),
        "add them, or run it on a terminal; `tokend dialect list` shows the dialects",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_where_its_path_begins() {
        let good = [
            (
                "https://id.example.com/oauth/token",
                "https://id.example.com",
                "/oauth/token",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/"),
        ];
        for (text, base_url, path) in good {
            assert_eq!(read_url(text), Ok((base_url.to_owned(), path.to_owned())));
        }
        for text in [
            "",
            "id.example.com",
            "ftp://a.example/",
            "https://a:hunter2@b.example/",
            "https://a.example/?x=hunter2",
            "https://",
        ] {
            let why = read_url(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
