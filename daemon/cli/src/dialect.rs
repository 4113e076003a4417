//! `tokend dialect`: shows descriptions of providers and tries them on recorded replies.

mod needs;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use http::Response;
use tokend_dialect::{Catalog, Dialect, DialectError, Endpoint, EndpointSettings, ExchangeKind};
use tokend_document::{Medium, report};

use super::printing::{Failure, Output, finish};
use crate::arguments::{DialectCommand, Exit, KindArg, TryArgs};

/// The longest dialect and the longest reply that are read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Runs `command`.
pub fn run(command: &DialectCommand, output: &mut Output<'_>) -> Exit {
    let (out, medium) = (&mut *output.out, output.medium);
    let done = match command {
        DialectCommand::List { dialect_dir } => {
            catalog(dialect_dir.as_deref(), medium).and_then(|catalog| list(&catalog, out))
        }
        DialectCommand::Show {
            dialect,
            effective,
            dialect_dir,
        } => find(dialect, dialect_dir.as_deref(), medium)
            .and_then(|dialect| show(&dialect, *effective, out)),
        DialectCommand::Needs {
            dialect,
            options,
            dialect_dir,
        } => find(dialect, dialect_dir.as_deref(), medium)
            .and_then(|dialect| needs::print(&dialect, options, out)),
        DialectCommand::Check { file, dialect_dir } => {
            check(file, dialect_dir.as_deref(), medium, out)
        }
        DialectCommand::Try(args) => find(&args.dialect, args.dialect_dir.as_deref(), medium)
            .and_then(|dialect| try_reply(&dialect, args, out)),
    };
    finish(done.map(|()| Exit::Success), output.err)
}

/// A file cannot be read.
fn unread(why: impl fmt::Display) -> Failure {
    Failure::line(Exit::NoInput, format!("tokend: {why}"))
}

/// The command line makes no sense.
fn misused(why: impl fmt::Display) -> Failure {
    Failure::line(Exit::Usage, format!("tokend: {why}"))
}

fn mistakes(errors: &[DialectError], medium: Medium) -> Failure {
    let reports = errors
        .iter()
        .map(|error| report(error.diagnostics(), medium));
    Failure::Ends(Exit::Config, reports.collect())
}

fn list(catalog: &Catalog, out: &mut dyn Write) -> Result<(), Failure> {
    let widths = catalog.iter().map(|(dialect, _)| dialect.name().len());
    let width = widths.max().unwrap_or(0);
    for (dialect, builtin) in catalog.iter() {
        let from = if builtin { "" } else { " (your own)" };
        let (name, summary) = (dialect.name(), dialect.summary());
        writeln!(out, "{name:<width$}  {summary}{from}")?;
    }
    Ok(())
}

fn show(dialect: &Dialect, effective: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let text = match effective {
        true => dialect.effective_toml(),
        false => dialect.show(),
    };
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}

fn check(
    file: &Path,
    dir: Option<&Path>,
    medium: Medium,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let catalog = catalog(dir, medium)?;
    // A name is no file, though `show` and `try` take both.
    let name = file
        .to_str()
        .filter(|name| !file.exists() && catalog.find(name).is_ok());
    if let Some(name) = name {
        return Err(misused(format!(
            "there is no file {name}: the dialect of that name is fine, and `tokend dialect show {name}` shows it; `check` takes a file of your own"
        )));
    }
    let dialect = parse(file, &catalog, medium)?;
    let can = match (dialect.can_login(), dialect.can_refresh()) {
        (true, true) => "login and refresh",
        (true, false) => "login only",
        (false, true) => "refresh only",
        (false, false) => "neither login nor refresh",
    };
    writeln!(out, "dialect `{}` is fine: {can}", dialect.name())?;
    for field in dialect.fields().filter(|field| !field.internal) {
        let need = match (field.required, field.secret) {
            (true, true) => "required, a reference to a secret",
            (true, false) => "required",
            (false, true) => "optional, a reference to a secret",
            (false, false) => "optional",
        };
        let about = match &*field.description {
            "" => String::new(),
            description => format!(": {description}"),
        };
        writeln!(out, "  {} ({need}){about}", field.name)?;
    }
    for kind in [ExchangeKind::Login, ExchangeKind::Refresh] {
        requests(&dialect, kind, out)?;
    }
    Ok(())
}

/// The request as it is after all merging: with the default options, and as each case makes it.
fn requests(dialect: &Dialect, kind: ExchangeKind, out: &mut dyn Write) -> Result<(), Failure> {
    let exists = match kind {
        ExchangeKind::Login => dialect.can_login(),
        ExchangeKind::Refresh => dialect.can_refresh(),
    };
    if !exists {
        return Ok(());
    }
    let mut before: Option<String> = None;
    for case in std::iter::once(Vec::new()).chain(dialect.cases(kind)) {
        let stated = case.iter().map(|(name, value)| format!("{name} = {value}"));
        let stated: Vec<_> = stated.collect();
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
    out: &mut dyn Write,
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

fn try_reply(dialect: &Dialect, args: &TryArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let settings = EndpointSettings {
        base_url: args.base_url.clone(),
        endpoint: args.endpoint.clone(),
        options: args.options.iter().cloned().collect(),
        ..EndpointSettings::default()
    };
    let endpoint = Endpoint::new(dialect, &settings)
        .map_err(|error| misused(format!("{error}; {}", error.help())))?;
    let kind = match args.kind {
        KindArg::Login => ExchangeKind::Login,
        KindArg::Refresh => ExchangeKind::Refresh,
    };
    let request = dialect.explain_request(kind, &endpoint).map_err(misused)?;
    writeln!(out, "{}", request.trim_end())?;
    let Some(status) = args.status else {
        return Ok(());
    };
    let response = response(status, args)?;
    let reply = dialect.explain_reply(kind, &response);
    writeln!(out, "\n{}", reply.trim_end())?;
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
    let wrong = |error| misused(format!("invalid header of the reply: {error}"));
    builder.body(body.into()).map_err(wrong)
}

/// A file if one has this name, otherwise a dialect of the catalog.
fn find(name: &str, dir: Option<&Path>, medium: Medium) -> Result<Arc<Dialect>, Failure> {
    let catalog = catalog(dir, medium)?;
    if name.contains('/') || name.ends_with(".toml") {
        return parse(Path::new(name), &catalog, medium).map(Arc::new);
    }
    catalog.find(name).cloned().map_err(|error| {
        let names = error.known.join(", ");
        misused(format!(
            "{error} (there are {names}; for a file write ./{name}.toml)"
        ))
    })
}

fn parse(file: &Path, catalog: &Catalog, medium: Medium) -> Result<Dialect, Failure> {
    let text = text(file, read_file(file)?)?;
    let parsed = tokend_dialect::parse(&file.display().to_string(), &text, catalog);
    parsed.map_err(|error| mistakes(&[error], medium))
}

/// The available dialects, each with a line about it, for the shells' completion; a file with mistakes does not hide the others.
pub(super) fn names(dir: Option<&Path>) -> Vec<(String, String)> {
    let catalog = catalog(dir, Medium::Plain).unwrap_or_else(|_| Catalog::builtin());
    catalog
        .iter()
        .map(|(dialect, _)| (dialect.name().to_owned(), dialect.summary().to_owned()))
        .collect()
}

fn catalog(dir: Option<&Path>, medium: Medium) -> Result<Catalog, Failure> {
    let builtin = Catalog::builtin();
    let Some(dir) = dir else { return Ok(builtin) };
    let mut files = Vec::new();
    for path in tokend_config::toml_files(dir).map_err(unread)? {
        let shown = path.display().to_string();
        // Read as the daemon reads it, which waits for no pipe.
        let bytes = tokend_config::read_regular(&path, LONGEST + 1);
        let bytes = bytes.map_err(|error| unread(format!("{shown}: {error}")))?;
        files.push((
            shown.clone(),
            text(&path, read(&shown, &mut bytes.as_slice())?)?,
        ));
    }
    let known = builtin.with_files(files);
    known.map_err(|errors| mistakes(&errors, medium))
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| unread(format!("{} is not UTF-8 text", path.display())))
}

/// A file that the command line names, which may be a pipe.
fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path);
    let mut file = file.map_err(|error| unread(format!("{shown}: {error}")))?;
    read(&shown, &mut file)
}

fn read(shown: &str, from: &mut impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = from.take(LONGEST + 1).read_to_end(&mut bytes);
    done.map_err(|error| unread(format!("{shown}: {error}")))?;
    match bytes.len() as u64 > LONGEST {
        true => Err(unread(format!("{shown} is longer than {LONGEST} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
