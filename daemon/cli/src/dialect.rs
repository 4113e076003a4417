//! `tokend dialect`: shows descriptions of providers and tries them on recorded replies.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use http::Response;
use tokend_dialect::{Catalog, Dialect, Endpoint, EndpointSettings, ExchangeKind};
use tokend_document::{Medium, report};

use super::printing::finish;
use crate::arguments::{DialectCommand, Exit, KindArg, TryArgs};

/// The longest dialect and the longest reply that are read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Runs `command`.
pub fn run(
    command: &DialectCommand,
    out: &mut impl Write,
    err: &mut impl Write,
    medium: Medium,
) -> Exit {
    let done = match command {
        DialectCommand::List { dialect_dir } => list(dialect_dir.as_deref(), out),
        DialectCommand::Show {
            dialect,
            effective,
            dialect_dir,
        } => show(dialect, *effective, dialect_dir.as_deref(), out),
        DialectCommand::Check { file, dialect_dir } => check(file, dialect_dir.as_deref(), out),
        DialectCommand::Try(args) => try_reply(args, out),
    };
    finish(match done {
        Ok(()) => Ok(Exit::Success),
        Err(Failure::Print(error)) => Err(error),
        Err(Failure::Input(text)) => writeln!(err, "tokend: {text}").map(|()| Exit::NoInput),
        Err(Failure::Usage(text)) => writeln!(err, "tokend: {text}").map(|()| Exit::Usage),
        Err(Failure::Dialects(errors)) => {
            let text: String = errors
                .iter()
                .map(|error| report(error.diagnostics(), medium))
                .collect();
            err.write_all(text.as_bytes()).map(|()| Exit::Config)
        }
    })
}

/// Reason a command failed.
enum Failure {
    Print(io::Error),
    Input(String),
    Usage(String),
    Dialects(Vec<tokend_dialect::DialectError>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Print(error)
    }
}

fn list(dir: Option<&Path>, out: &mut impl Write) -> Result<(), Failure> {
    let catalog = catalog(dir)?;
    let width = catalog
        .iter()
        .map(|(dialect, _)| dialect.name().len())
        .max()
        .unwrap_or(0);
    for (dialect, builtin) in catalog.iter() {
        let from = if builtin { "" } else { " (your own)" };
        writeln!(
            out,
            "{:<width$}  {}{from}",
            dialect.name(),
            dialect.summary()
        )?;
    }
    Ok(())
}

fn show(
    name: &str,
    effective: bool,
    dir: Option<&Path>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let dialect = find(name, dir)?;
    let text = if effective {
        dialect.effective_toml()
    } else {
        dialect.show()
    };
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}

fn check(file: &Path, dir: Option<&Path>, out: &mut impl Write) -> Result<(), Failure> {
    let catalog = catalog(dir)?;
    // A name is no file, though `show` and `try` take both.
    let name = file
        .to_str()
        .filter(|name| !file.exists() && catalog.find(name).is_ok());
    if let Some(name) = name {
        return Err(Failure::Usage(format!(
            "there is no file {name}: the dialect of that name is fine, and `tokend dialect show {name}` shows it; `check` takes a file of your own"
        )));
    }
    let dialect = parse(file, &catalog)?;
    let can = match (dialect.can_login(), dialect.can_refresh()) {
        (true, true) => "login and refresh",
        (true, false) => "login only",
        (false, true) => "refresh only",
        (false, false) => "neither login nor refresh",
    };
    writeln!(out, "dialect `{}` is fine: {can}", dialect.name())?;
    for field in dialect.fields().filter(|field| !field.internal) {
        let need = if field.required {
            "required"
        } else {
            "optional"
        };
        let secret = if field.secret {
            ", a reference to a secret"
        } else {
            ""
        };
        let about = if field.description.is_empty() {
            String::new()
        } else {
            format!(": {}", field.description)
        };
        writeln!(out, "  {} ({need}{secret}){about}", field.name)?;
    }
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        requests(&dialect, kind, out)?;
    }
    Ok(())
}

/// The request as it is after all merging: with the default options, and as each case makes it.
fn requests(dialect: &Dialect, kind: ExchangeKind, out: &mut impl Write) -> Result<(), Failure> {
    let exists = match kind {
        ExchangeKind::Login => dialect.can_login(),
        ExchangeKind::Refresh => dialect.can_refresh(),
    };
    if !exists {
        return Ok(());
    }
    let mut before: Option<String> = None;
    for case in std::iter::once(Vec::new()).chain(dialect.cases(kind)) {
        let stated: Vec<_> = case
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let with = match stated.is_empty() {
            true => "with the default options".to_owned(),
            false => format!("with {}", stated.join(", ")),
        };
        let settings = EndpointSettings {
            base_url: "https://base-url".to_owned(),
            options: case.into_iter().collect(),
            ..EndpointSettings::default()
        };
        let explained = Endpoint::new(dialect, &settings)
            .map_err(|error| error.to_string())
            .and_then(|at| merged(dialect, kind, &at));
        // A request equal to the one with defaults is not shown twice.
        if explained.is_err() || before.as_ref() != explained.as_ref().ok() {
            write_merged(&format!("{kind} {with}"), &explained, out)?;
        }
        before = before.or(explained.ok());
    }
    Ok(())
}

/// A request after all merging of `extends` and cases, with `<field>` in place of every value; or why there is none.
pub(super) fn merged(
    dialect: &Dialect,
    kind: ExchangeKind,
    at: &Endpoint,
) -> Result<String, String> {
    let explained = dialect.explain_request(kind, at);
    explained.map_err(|error| error.to_string())
}

/// Prints it below a line that names it: in the same form for a dialect and for an account.
pub(super) fn write_merged(
    which: &str,
    merged: &Result<String, String>,
    out: &mut impl Write,
) -> io::Result<()> {
    match merged {
        Err(why) => writeln!(out, "\n{which}: none, as {why}"),
        Ok(text) => {
            writeln!(out, "\n{which}:")?;
            let mut lines = text.trim_end().lines();
            lines.try_for_each(|line| writeln!(out, "{}", format!("    {line}").trim_end()))
        }
    }
}

fn try_reply(args: &TryArgs, out: &mut impl Write) -> Result<(), Failure> {
    let dialect = find(&args.dialect, args.dialect_dir.as_deref())?;
    let settings = EndpointSettings {
        base_url: args.base_url.clone(),
        endpoint: args.endpoint.clone(),
        options: args.options.iter().cloned().collect(),
        ..EndpointSettings::default()
    };
    let endpoint = Endpoint::new(&dialect, &settings)
        .map_err(|error| Failure::Usage(format!("{error}; {}", error.help())))?;
    let kind = match args.kind {
        KindArg::Login => ExchangeKind::Login,
        KindArg::Refresh => ExchangeKind::Refresh,
    };
    let request = dialect
        .explain_request(kind, &endpoint)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    writeln!(out, "{}", request.trim_end())?;
    let Some(status) = args.status else {
        return Ok(());
    };
    let response = response(status, args)?;
    writeln!(
        out,
        "\n{}",
        dialect.explain_reply(kind, &response).trim_end()
    )?;
    Ok(())
}

fn response(status: u16, args: &TryArgs) -> Result<Response<bytes::Bytes>, Failure> {
    let body = match &args.body {
        None => Vec::new(),
        Some(path) if path.as_os_str() == "-" => read("standard input", &mut io::stdin().lock())?,
        Some(path) => read_file(path)?,
    };
    let mut builder = Response::builder().status(status);
    for (name, value) in &args.headers {
        builder = builder.header(name, value);
    }
    let wrong =
        |error: http::Error| Failure::Usage(format!("invalid header of the reply: {error}"));
    builder.body(body.into()).map_err(wrong)
}

/// A file if one has this name, otherwise a dialect of the catalog.
fn find(name: &str, dir: Option<&Path>) -> Result<Arc<Dialect>, Failure> {
    let catalog = catalog(dir)?;
    if name.contains('/') || name.ends_with(".toml") {
        return parse(Path::new(name), &catalog).map(Arc::new);
    }
    catalog.find(name).cloned().map_err(|error| {
        let names: Vec<&str> = error.known.iter().map(String::as_str).collect();
        Failure::Usage(format!(
            "{error} (there are {}; for a file write ./{name}.toml)",
            names.join(", ")
        ))
    })
}

fn parse(file: &Path, catalog: &Catalog) -> Result<Dialect, Failure> {
    let text = text(file, read_file(file)?)?;
    let parsed = tokend_dialect::parse(&file.display().to_string(), &text, catalog);
    parsed.map_err(|error| Failure::Dialects(vec![error]))
}

/// The available dialects, each with a line about it, for the shells' completion; a file with mistakes does not hide the others.
pub(super) fn names(dir: Option<&Path>) -> Vec<(String, String)> {
    let catalog = catalog(dir).unwrap_or_else(|_| Catalog::builtin());
    catalog
        .iter()
        .map(|(dialect, _)| (dialect.name().to_owned(), dialect.summary().to_owned()))
        .collect()
}

fn catalog(dir: Option<&Path>) -> Result<Catalog, Failure> {
    let builtin = Catalog::builtin();
    let Some(dir) = dir else { return Ok(builtin) };
    let paths = tokend_config::toml_files(dir).map_err(Failure::Input)?;
    let files: Result<Vec<_>, Failure> = paths
        .iter()
        .map(|path| {
            Ok((
                path.display().to_string(),
                text(path, read_in_folder(path)?)?,
            ))
        })
        .collect();
    builtin.with_files(files?).map_err(Failure::Dialects)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes)
        .map_err(|_| Failure::Input(format!("{} is not UTF-8 text", path.display())))
}

/// A file in the directory of dialects: read as the daemon reads it, which waits for no pipe.
fn read_in_folder(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let bytes = tokend_config::read_regular(path, LONGEST + 1)
        .map_err(|error| Failure::Input(format!("{shown}: {error}")))?;
    read(&shown, &mut bytes.as_slice())
}

/// A file that the command line names, which may be a pipe.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let mut file =
        std::fs::File::open(path).map_err(|error| Failure::Input(format!("{shown}: {error}")))?;
    read(&shown, &mut file)
}

fn read(shown: &str, from: &mut impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = from.take(LONGEST + 1).read_to_end(&mut bytes);
    done.map_err(|error| Failure::Input(format!("{shown}: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::Input(format!(
            "{shown} is longer than {LONGEST} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
