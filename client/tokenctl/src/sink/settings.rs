//! The configuration of one sink.
//!
//! Owns its keys. No value is a secret, so a report may show each line; a template may hold anything, so it is kept out.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokend_client::AccountName;
use tokend_document::{Diagnostics, Language, Node, Section, Source, Value};

use super::act::{Act, OnChange};
use super::content::Content;
use super::place::{Holder, Place};
use super::template::Template;
use crate::secret_file::{Owner, SecretFile};
use crate::token::{Form, Format};
use crate::trust;

/// More than any configuration of a sink needs.
const LONGEST_FILE: u64 = 64 * 1024;
const LONGEST_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// One sink.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: AccountName,
    pub(super) account: AccountName,
    pub(super) file: SecretFile,
    pub(super) content: Content,
    pub(super) min_validity: Option<Duration>,
    pub(super) on_change: Option<OnChange>,
}

#[derive(Debug)]
struct Toml;

impl Language for Toml {
    fn is_plain(&self, key: &str, _value: &str) -> bool {
        key != "template"
    }

    fn is_plain_line(&self, key: &str, _value: &str) -> bool {
        key != "template"
    }

    fn is_toml(&self) -> &'static str {
        "the configuration of a sink is TOML: write `account = \"NAME\"`, one key a line"
    }
}

/// The formats by their names. `raw` is `plain` without a line end.
const FORMATS: [(&str, Named); 9] = [
    ("raw", Named::Raw),
    ("header", Named::Form(Format::Header)),
    ("json", Named::Form(Format::Json)),
    ("env", Named::Form(Format::Env)),
    ("dotenv", Named::Form(Format::Dotenv)),
    ("curl", Named::Form(Format::Curl)),
    ("netrc", Named::Form(Format::Netrc)),
    ("envoy-sds", Named::EnvoySds),
    ("template", Named::Template),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Raw,
    Form(Format),
    EnvoySds,
    Template,
}

/// Reads the file of one sink, which is named for it.
pub(super) fn read(path: &Path, holder: Holder, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let shown = path.display().to_string();
    let Some(name) = name_of(path) else {
        let help = "call the file NAME.toml; NAME has letters, digits and . _ @ + -, and a letter or digit first";
        diagnostics.add_file(
            &shown,
            "the file's name is no name of a sink",
            help.to_owned(),
        );
        return None;
    };
    let text = match text_of(path) {
        Ok(text) => text,
        Err((what, help)) => {
            diagnostics.add_file(&shown, what, help);
            return None;
        }
    };
    let source = Source::new(&shown, text, &Toml);
    let node = Node::read(&source, diagnostics)?;
    let before = diagnostics.count();
    let settings = of(Section::root(&node), (name, path, holder), diagnostics);
    settings.filter(|_| diagnostics.count() == before)
}

/// The sink of this file, and where its file with a token is, whatever else is wrong.
pub(super) fn place_of(path: &Path) -> Option<(AccountName, PathBuf)> {
    let name = name_of(path)?;
    let text = text_of(path).ok()?;
    let source = Source::new(&path.display().to_string(), text, &Toml);
    let mut ignored = Diagnostics::default();
    let node = Node::read(&source, &mut ignored)?;
    let mut section = Section::root(&node);
    let place = match section.read("wlcg", &mut ignored, Value::boolean) {
        Some(true) => Some(wlcg()),
        _ => section.read("path", &mut ignored, |it, ignored| {
            it.path(Path::new(""), ignored)
        }),
    };
    place.map(|place| (name, place))
}

fn name_of(path: &Path) -> Option<AccountName> {
    let is_toml = path.extension().is_some_and(|it| it == "toml");
    let name = path.file_stem().and_then(|it| it.to_str()).unwrap_or("");
    name.parse().ok().filter(|_| is_toml)
}

/// Whoever can write this file has commands run as the user of the sink.
fn text_of(path: &Path) -> Result<String, (String, Option<String>)> {
    let broken = |error: std::io::Error| (format!("cannot be read: {error}"), None);
    let file = File::open(path).map_err(broken)?;
    let found = file.metadata().map_err(broken)?;
    let is_closed = [0, geteuid().as_raw()].contains(&found.uid()) && found.mode() & 0o022 == 0;
    let folder = path.parent().filter(|it| *it != Path::new(""));
    if !is_closed || !trust::keeps_what_is_in(folder.unwrap_or(Path::new("."))) {
        return Err((
            "others can change this file, which says what is run as you".to_owned(),
            Some(
                "let it and its directories belong to root or to you, and run: chmod go-w on them"
                    .to_owned(),
            ),
        ));
    }
    let mut text = String::new();
    let read = file.take(LONGEST_FILE + 1).read_to_string(&mut text);
    match read.map_err(broken)? {
        length if length as u64 > LONGEST_FILE => {
            Err((format!("it is longer than {LONGEST_FILE} bytes"), None))
        }
        _ => Ok(text),
    }
}

fn of<'p>(
    mut section: Section<'p>,
    (name, path, holder): (AccountName, &Path, Holder),
    diagnostics: &mut Diagnostics,
) -> Option<Settings> {
    let account = section.require("account", "whose token", diagnostics);
    let account = account.and_then(|it| account_of(it, diagnostics));
    let group = section.take("group");
    let owner = group.and_then(|it| owner_of(it, diagnostics));
    let mode = section.read("mode", diagnostics, mode_of);
    let mode = mode.unwrap_or(if group.is_some() { 0o640 } else { 0o600 });
    let min_validity = section.read("min_validity", diagnostics, |it, diagnostics| {
        it.nonzero_duration(LONGEST_VALIDITY, diagnostics)
    });
    let is_wlcg = section.read("wlcg", diagnostics, Value::boolean) == Some(true);
    let format = section.word("format", &FORMATS, diagnostics);
    let format = format.unwrap_or(Named::Raw);
    if is_wlcg && format != Named::Raw {
        let help =
            "leave out `format`: the file of WLCG's discovery has the token and nothing else";
        section.note_key(
            "format",
            diagnostics,
            "`wlcg` has a format of its own",
            help.to_owned(),
        );
    }
    let file = match is_wlcg {
        true => {
            let help = "leave out `path` or `wlcg`".to_owned();
            let message = "`wlcg` says itself where the file is".to_owned();
            section.refuse("path", diagnostics, message, help);
            Some(wlcg())
        }
        false => path_of(&mut section, format, holder, diagnostics),
    };
    let content = content(&mut section, format, (account.as_ref(), path), diagnostics);
    let on_change = section.section("on_change", diagnostics);
    let on_change = on_change.map(|it| on_change_of(it, diagnostics));
    section.finish(diagnostics);
    Some(Settings {
        name,
        account: account?,
        file: SecretFile::new(file?, mode, owner),
        content: content?,
        min_validity,
        on_change: match on_change {
            None => None,
            Some(on_change) => Some(on_change?),
        },
    })
}

fn account_of(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<AccountName> {
    match value.text(diagnostics)?.parse() {
        Ok(account) => Some(account),
        Err(error) => {
            let error: tokend_client::NameError = error;
            let help = "see the accounts you may use with: tokenctl list";
            value.wrong(diagnostics, error.to_string(), help.to_owned())
        }
    }
}

fn owner_of(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Owner> {
    let group = value.written(diagnostics)?;
    match Owner::parse(&format!("{}:{group}", geteuid().as_raw())) {
        Ok(owner) => Some(owner),
        Err(failure) => value.wrong(diagnostics, failure.in_one_line(), None),
    }
}

/// Permissions as for chmod(1): the owner can read it, a group perhaps, and nobody else.
fn mode_of(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<u32> {
    let text = value.quoted("permissions in quotes, such as \"640\"", diagnostics)?;
    let modes =
        ["400", "440", "600", "640"].map(|it| (it, u32::from_str_radix(it, 8).unwrap_or(0)));
    let short = text.strip_prefix('0').unwrap_or(text);
    let found = modes.iter().find(|(word, _)| *word == short);
    found.map(|(_, mode)| *mode).or_else(|| {
        let help =
            "write 400, 440, 600 or 640: others than the owner and a group never read a token";
        value.wrong(
            diagnostics,
            format!("`{text}` is no permission of a sink"),
            help.to_owned(),
        )
    })
}

/// Where programs of the WLCG look for the token of this user.
fn wlcg() -> PathBuf {
    let user = geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|it| it.is_absolute());
    let runtime = runtime.unwrap_or_else(|| PathBuf::from(format!("/run/user/{user}")));
    runtime.join(format!("bt_u{user}"))
}

fn path_of<'p>(
    section: &mut Section<'p>,
    format: Named,
    holder: Holder,
    diagnostics: &mut Diagnostics,
) -> Option<PathBuf> {
    let value = section.require("path", "where the file is, in full", diagnostics)?;
    let path = value.path(Path::new(""), diagnostics)?;
    if !path.is_absolute() {
        let help = "write the whole path, from / on".to_owned();
        return value.wrong(diagnostics, "the path is not written in full", help);
    }
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or("");
    if format == Named::EnvoySds && extension != "json" {
        let help = "end the path with .json: Envoy goes by that".to_owned();
        return value.wrong(diagnostics, "Envoy could not read this file", help);
    }
    match Place::open(&path, holder) {
        Ok(_) => Some(path),
        Err(unfit) => value.wrong(diagnostics, unfit.what, unfit.advice),
    }
}

fn content<'p>(
    section: &mut Section<'p>,
    format: Named,
    (account, path): (Option<&AccountName>, &Path),
    diagnostics: &mut Diagnostics,
) -> Option<Content> {
    let mut of = |key: &'p str, formats: &[Named], diagnostics: &mut Diagnostics| {
        if formats.contains(&format) {
            return section.take(key)?.text(diagnostics).map(str::to_owned);
        }
        let message = format!("this format has no `{key}`");
        section.refuse(
            key,
            diagnostics,
            message,
            "leave it out, or name another `format`".to_owned(),
        );
        None
    };
    let variables = [Named::Form(Format::Env), Named::Form(Format::Dotenv)];
    let env_name = of("env_name", &variables, diagnostics);
    let machine = of("machine", &[Named::Form(Format::Netrc)], diagnostics);
    let user = of("user", &[Named::Form(Format::Netrc)], diagnostics);
    let secret_name = of("secret_name", &[Named::EnvoySds], diagnostics);
    let template = of("template", &[Named::Template], diagnostics);
    let template_file = of("template_file", &[Named::Template], diagnostics);
    let words = [
        ("env_name", &env_name),
        ("machine", &machine),
        ("user", &user),
    ];
    for (key, word) in words {
        let is_plain = |it: &String| {
            it.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\"'\\#=".contains(&byte))
        };
        if word.as_ref().is_some_and(|it| !is_plain(it)) {
            section.note_key(
                key,
                diagnostics,
                format!("`{key}` is no single plain word"),
                None,
            );
        }
    }
    match format {
        Named::Raw => Some(Content::Raw),
        Named::EnvoySds => {
            let name = secret_name.or_else(|| account.map(ToString::to_string));
            name.map(Content::EnvoySds)
        }
        Named::Template => template_of(section, (template, template_file), path, diagnostics),
        Named::Form(Format::Netrc) if machine.is_none() => {
            let help = "add `machine`: the host that the token is for".to_owned();
            section.note(diagnostics, "`machine` is missing", help);
            None
        }
        Named::Form(format) => Some(Content::Form(Form {
            format,
            env_name: env_name.unwrap_or_else(|| "ACCESS_TOKEN".to_owned()),
            machine,
            user,
        })),
    }
}

fn template_of(
    section: &Section<'_>,
    texts: (Option<String>, Option<String>),
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Content> {
    let (key, text) = match texts {
        (Some(text), None) => ("template", Ok(text)),
        (None, Some(file)) => {
            let file = path.parent().unwrap_or(Path::new("/")).join(file);
            let said = |(why, advice): (String, Option<String>)| match advice {
                Some(advice) => format!("{why}: {advice}"),
                None => why,
            };
            ("template_file", text_of(&file).map_err(said))
        }
        _ => {
            let help = "add one of them: a text with {{token}} at one place".to_owned();
            section.note(
                diagnostics,
                "a template needs either `template` or `template_file`",
                help,
            );
            return None;
        }
    };
    let template = text.and_then(|text| Template::read(&text));
    match template {
        Ok(template) => Some(Content::Template(template)),
        Err(why) => {
            let help =
                "{{token}} stands at one place, and {{expires_at}} where the end may be".to_owned();
            section.note_key(key, diagnostics, why, help);
            None
        }
    }
}

fn on_change_of(mut section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<OnChange> {
    let text = |value: Value<'_>, diagnostics: &mut Diagnostics| {
        value.text(diagnostics).map(str::to_owned)
    };
    let command = section.read("command", diagnostics, |it, diagnostics| {
        let words = it.array(diagnostics)?;
        let words: Option<Vec<_>> = words.map(|word| text(word, diagnostics)).collect();
        words.filter(|words| !words.is_empty())
    });
    let signal = section.word("signal", &Act::SIGNALS, diagnostics);
    let reload = section.read("reload", diagnostics, text);
    let unit = section.read("unit", diagnostics, text);
    let pid_file = section.read("pid_file", diagnostics, |it, diagnostics| {
        it.path(Path::new("/"), diagnostics)
    });
    let of_user = section.read("user_manager", diagnostics, Value::boolean) == Some(true);
    let with_token =
        section.read("token_in_environment", diagnostics, Value::boolean) == Some(true);
    let act = match (command, signal, reload, unit, pid_file) {
        (Some(command), None, None, None, None) if !of_user => Some(Act::Command(command)),
        (None, Some(signal), None, Some(unit), None) => Some(Act::kill(signal, &unit, of_user)),
        (None, Some(signal), None, None, Some(file)) if !of_user => {
            Some(Act::Signal(signal.1, file))
        }
        (None, None, Some(unit), None, None) => Some(Act::reload(&unit, of_user)),
        _ => None,
    };
    if act.is_none() {
        let help = "write one of: command = [\"PROGRAM\", …]; reload = \"UNIT\"; signal = \"HUP\" with unit = \"UNIT\" or pid_file = \"PATH\"; \
                    user_manager = true stands beside a unit"
            .to_owned();
        section.note(
            diagnostics,
            "this says no single thing to do when the token changes",
            help,
        );
    }
    section.finish(diagnostics);
    act.map(|act| OnChange { act, with_token })
}
