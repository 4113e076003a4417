//! An account as it stands in a file of the configuration.
//!
//! Owns the text of that file, and how its parts are written as options. It holds references to secrets and never a secret.

use std::fmt::Write as _;
use std::path::PathBuf;

use tokend_client::AccountName;

/// Between a credential and the command that enters it.
const ENTERED: &str = " is entered with: ";
/// The credential of an account that cannot log in.
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";

/// The command that enters a credential; without an option it asks for every secret that is missing.
pub(crate) fn login_command(account: &AccountName, field: &str) -> String {
    let option = match field {
        REFRESH_TOKEN => " --refresh-token",
        _ => "",
    };
    format!("tokenctl login {account}{option}")
}

/// Everything that the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountFile {
    pub(crate) name: AccountName,
    pub(crate) dialect: String,
    pub(crate) base_url: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, SecretPlace)>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) callers: Vec<Caller>,
    /// Whether its dialect can log in; an account that cannot begins with a refresh token. It does not stand in the file.
    pub(crate) can_login: bool,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// A person enters it, and the daemon's store keeps it.
    Login,
    File(PathBuf),
    Command(Vec<String>),
    Credential(String),
    Variable(String),
}

/// Who may have the account's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    User(String),
    Group(String),
    Unit(String),
}

impl SecretPlace {
    /// Reads `login`, `file:PATH`, `command:WORDS`, `credential:NAME` or `env:NAME`.
    ///
    /// # Errors
    /// A sentence without the text, which may be the secret itself.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        match (kind, value.trim()) {
            ("login", "") if text == "login" => Ok(Self::Login),
            ("file", path) if path.starts_with('/') => Ok(Self::File(path.into())),
            ("file", _) => Err("a file is named with its whole path: file:/etc/tokend/secrets/ads"),
            ("command", words) => Self::command(words),
            ("credential", name) if !name.is_empty() => Ok(Self::Credential(name.to_owned())),
            ("env", name) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            _ => Err(
                "write login, file:PATH, command:WORD ..., credential:NAME or env:NAME; the secret itself is never an argument",
            ),
        }
    }

    /// Reads the words of a command. Nothing is unquoted: what needs quotes is to be written as a list of TOML.
    pub(crate) fn command(words: &str) -> Result<Self, &'static str> {
        match words {
            "" => Err("the command has no word"),
            words if words.contains(['"', '\'', '\\', '$', '`', '|', '>', '<']) => Err(
                "the command runs without a shell and its words are cut at blanks: leave out quotes, variables and pipes, or name a script",
            ),
            words => Ok(Self::Command(
                words.split_whitespace().map(str::to_owned).collect(),
            )),
        }
    }

    /// Its value in TOML; none if it does not stand in the file.
    fn toml(&self) -> Option<String> {
        let quoted = |text: &str| quoted(text);
        Some(match self {
            Self::Login => return None,
            Self::File(path) => format!("{{ file = {} }}", quoted(&path.to_string_lossy())),
            Self::Credential(name) => format!("{{ credential = {} }}", quoted(name)),
            Self::Variable(name) => format!("{{ env = {} }}", quoted(name)),
            Self::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                format!("{{ command = [{}] }}", words.join(", "))
            }
        })
    }
}

impl Caller {
    /// Reads `NAME`, `user:NAME`, `group:NAME` or `unit:NAME`.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (kind, name) = text.split_once(':').unwrap_or(("user", text));
        let name = name.to_owned();
        match kind {
            _ if name.is_empty() => Err("the name is missing"),
            "user" => Ok(Self::User(name)),
            "group" => Ok(Self::Group(name)),
            "unit" => Ok(Self::Unit(name)),
            _ => Err("write a user's name, group:NAME or unit:NAME.service"),
        }
    }

    fn toml(&self) -> String {
        let (kind, name) = match self {
            Self::User(name) => ("user", name),
            Self::Group(name) => ("group", name),
            Self::Unit(name) => ("unit", name),
        };
        format!("{{ {kind} = {} }}", quoted(name))
    }
}

impl AccountFile {
    /// The name of the file of this account.
    pub(crate) fn name_of(account: &AccountName) -> String {
        format!("{account}.toml")
    }

    /// The credential that a person has to enter.
    pub(crate) fn entered(&self) -> Option<&str> {
        let mut secrets = self.secrets.iter();
        let entered = secrets.find(|(_, place)| *place == SecretPlace::Login);
        let first = (!self.can_login).then_some(REFRESH_TOKEN);
        first.or(entered.map(|(field, _)| field.as_str()))
    }

    /// The same, from the text of such a file.
    pub(crate) fn entered_in(text: &str) -> Option<&str> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("# "));
        let found = lines.find_map(|line| line.split_once(ENTERED));
        found.map(|(field, _)| field)
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        let name = self.name.toml_key();
        let mut text = String::from(
            "# tokend.toml(5) has every setting. Secrets never stand here, only where they are.\n",
        );
        if let Some(field) = self.entered() {
            let command = login_command(&self.name, field);
            // Writing to a text cannot fail.
            let _ = writeln!(text, "# {field}{ENTERED}{command}");
        }
        let _ = writeln!(text, "[account.{name}]");
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{} = {value}", self::key(key));
        };
        line("provider", quoted(&self.dialect));
        if let Some(url) = &self.base_url {
            line("base_url", quoted(url));
        }
        for (field, value) in &self.fields {
            line(field, quoted(value));
        }
        for (field, place) in &self.secrets {
            if let Some(value) = place.toml() {
                line(field, value);
            }
        }
        if !self.callers.is_empty() {
            let callers: Vec<_> = self.callers.iter().map(Caller::toml).collect();
            line("allow", format!("[{}]", callers.join(", ")));
        }
        if !self.options.is_empty() {
            let _ = writeln!(text, "\n[account.{name}.options]");
        }
        for (option, value) in &self.options {
            let _ = writeln!(text, "{} = {}", key(option), quoted(value));
        }
        text
    }
}

/// A key of TOML, quoted only if it must be.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_what_was_answered_and_no_more() {
        let mut file = AccountFile {
            name: "a.b".parse().unwrap(),
            dialect: "oauth2".to_owned(),
            base_url: Some("https://id.example.com".to_owned()),
            fields: vec![("client_id".to_owned(), "my \"own\"\\\n\u{7f}id".to_owned())],
            secrets: vec![
                ("password".to_owned(), SecretPlace::Login),
                (
                    "client_secret".to_owned(),
                    SecretPlace::parse("command:pass show id").unwrap(),
                ),
            ],
            options: vec![("grant".to_owned(), "password".to_owned())],
            callers: vec![
                Caller::parse("deploy").unwrap(),
                Caller::parse("group:ci").unwrap(),
                Caller::parse("unit:backup.service").unwrap(),
            ],
            can_login: true,
        };
        let text = file.text();
        let (comment, rest) = text.split_once('\n').unwrap();
        assert!(comment.starts_with("# "));
        assert_eq!(
            rest,
            "# password is entered with: tokenctl login a.b\n[account.\"a.b\"]\nprovider = \"oauth2\"\nbase_url = \"https://id.example.com\"\n\
             client_id = \"my \\\"own\\\"\\\\\\u000A\\u007Fid\"\n\
             client_secret = { command = [\"pass\", \"show\", \"id\"] }\n\
             allow = [{ user = \"deploy\" }, { group = \"ci\" }, { unit = \"backup.service\" }]\n\
             \n[account.\"a.b\".options]\ngrant = \"password\"\n"
        );
        assert_eq!(AccountFile::entered_in(&text), Some("password"));
        file.can_login = false;
        assert_eq!(AccountFile::entered_in(&file.text()), Some("refresh_token"));
        assert!(file.text().contains("tokenctl login a.b --refresh-token\n"));
        (file.can_login, file.secrets) = (true, Vec::new());
        assert_eq!(AccountFile::entered_in(&file.text()), None);
        assert_eq!(AccountFile::name_of(&file.name), "a.b.toml");
        file.callers.clear();
        file.options.clear();
        assert!(!file.text().contains("allow") && !file.text().contains("options"));
    }

    #[test]
    fn where_a_secret_is_never_is_the_secret() {
        for text in [
            "hunter2",
            "hunter2:x",
            "login:hunter2",
            "file:hunter2",
            "command:",
            "command:echo 'hunter2'",
            "env:",
            "credential:",
            "",
        ] {
            let why = SecretPlace::parse(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert_eq!(
            SecretPlace::parse("file:/a:b").unwrap(),
            SecretPlace::File("/a:b".into())
        );
        assert!(Caller::parse("host:x").is_err() && Caller::parse("group:").is_err());
    }
}
