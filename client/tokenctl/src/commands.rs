//! What each command does.
//!
//! Owns the order of steps: what to ask the person, what to ask the daemon, what to print.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokend_client::{
    AccountName, BlockingClient, CredentialStatus, GetOptions, Patience, SinkLine, Token,
};

use crate::arguments::{
    Arguments, Command, Exec, Forget, Get, List, Place, Refresh, Reject, Shape, Status, Whoami,
};
use crate::connection::{connect, connect_within, patience};
use crate::exec::{Obtained, Runtime, Updater};
use crate::failure::{Exit, Failure};
use crate::request::program;
use crate::who_answered::Daemon;
use crate::{
    clock, completion, doctor, endpoint, exec, helper, init, input, integrate, login, logs, output,
    sink, status, token, token_watch, watch, whoami, words,
};

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { socket, command } = arguments;
    let socket = socket.as_deref();
    match command {
        Command::Help(text) => output::print(text.as_bytes()),
        Command::Get(options) => get(socket, options),
        Command::Exec(options) => run_with_tokens(socket, &options),
        Command::Watch(options) => token_watch::run(socket, options),
        Command::Helper(options) => helper::run(socket, &options),
        Command::Request(_) => Err(program::become_it()),
        Command::Sink(options) => sink::run(socket, &options),
        Command::Endpoint(options) => endpoint::run(socket, options),
        Command::Status(options) => show_status(socket, &options),
        Command::List(options) => list(socket, &options),
        Command::Whoami(options) => show_caller(socket, &options),
        Command::Refresh(options) => refresh(socket, &options),
        Command::Reject(options) => reject(socket, &options),
        Command::Reload => reload(socket),
        Command::Metrics => metrics(socket),
        Command::Login(options) => login::run(socket, &options),
        Command::Init(options) => init::run(socket, &options),
        Command::Forget(options) => forget(socket, &options),
        Command::Doctor(options) => doctor::run(socket, options.account.as_ref(), options.json),
        Command::Logs(options) => logs::run(socket, &options),
        Command::Integrate(options) => {
            integrate::run(options.consumer.as_deref(), options.account.as_ref())
        }
        Command::Keep(options) => exec::keep(socket, options),
        Command::Serve(options) => exec::serve(socket, options),
        Command::Complete(words) => completion::answer(&words),
    }
}

fn metrics(socket: Option<&Path>) -> Result<(), Failure> {
    let mut client = connect(socket)?;
    let mut page = client.admin().metrics(None)?;
    loop {
        output::print(page.text.as_bytes())?;
        match page.next {
            None => return Ok(()),
            next => page = client.admin().metrics(next)?,
        }
    }
}

fn get(socket: Option<&Path>, options: Get) -> Result<(), Failure> {
    let Get {
        account,
        form,
        output,
        min_validity,
        patient,
    } = options;
    // A file that cannot become what is asked for is noticed before a token is.
    if let Some(file) = &output {
        file.check()?;
    }
    let (mut client, Patience { wait, timeout, .. }) = connect_within(socket, patience(&patient))?;
    let mut demand = GetOptions::new(account).wait(wait).timeout(timeout);
    demand.min_validity = min_validity;
    let found = client.get(&demand)?;
    let daemon = Daemon::of(&client);
    let text = form.text(&found, &daemon)?;
    match &output {
        Some(file) => file.write(&text),
        None => output::print(&text),
    }?;
    form.after(&found)
}

/// Obtains every token before anything is started.
fn run_with_tokens(socket: Option<&Path>, options: &Exec) -> Result<(), Failure> {
    // A place that cannot have files is noticed before there is a token.
    let runtime = match options.place {
        Place::File => Some(Runtime::find()?),
        Place::Environment | Place::Descriptor | Place::Endpoint(_) => None,
    };
    let (mut client, Patience { wait, timeout, .. }) =
        connect_within(socket, patience(&options.patient))?;
    let updater = runtime.map(|it| Updater::start(&it, client.socket().as_path(), options));
    let updater = updater.transpose()?;
    let mut tokens = Vec::with_capacity(options.tokens.len());
    for (account, _) in &options.tokens {
        let mut demand = GetOptions::new(account.clone()).wait(wait).timeout(timeout);
        demand.min_validity = options.min_validity;
        tokens.push(Obtained::now(client.get(&demand)?));
    }
    let socket = client.socket().as_path().to_owned();
    drop(client);
    exec::run(&socket, options, &tokens, updater)
}

fn refresh(socket: Option<&Path>, options: &Refresh) -> Result<(), Failure> {
    let account = &options.account;
    let (mut client, patience) = connect_within(socket, patience(&options.patient))?;
    let newer = client.admin().refresh(account, patience)?;
    tell_newer(account, newer.as_ref(), options.print)
}

fn reject(socket: Option<&Path>, options: &Reject) -> Result<(), Failure> {
    let refused = input::secret("refused token")?;
    let (mut client, patience) = connect_within(socket, patience(&options.patient))?;
    let newer = client.reject(&options.account, refused, patience)?;
    tell_newer(&options.account, newer.as_ref(), options.print)
}

/// The answer about a new token: the token itself, or a sentence for a caller that may not have it.
fn tell_newer(account: &AccountName, newer: Option<&Token>, print: bool) -> Result<(), Failure> {
    match newer {
        Some(newer) => tell_token(account, newer, print),
        None if print => Err(Failure::new(
            Exit::NotAllowed,
            format!("{account} has a new token, which is not for you"),
            "only those to whom a rule of the account gives `get` get its tokens; that holds for administrators too",
        )),
        None => {
            output::note(&format!("{account} has a new token"));
            Ok(())
        }
    }
}

fn show_status(socket: Option<&Path>, options: &Status) -> Result<(), Failure> {
    if let Shape::Live { interval } = options.shape {
        return watch::run(socket, options.account.as_ref(), interval);
    }
    let mut client = connect(socket)?;
    let accounts = client.admin().status(options.account.as_ref())?;
    let sinks = match options.shape == Shape::Json || output::is_terminal() {
        true if !accounts.is_empty() => sinks_of(&mut client, options.account.as_ref()),
        _ => Vec::new(),
    };
    let credential = match options.shape == Shape::Json || output::is_terminal() {
        true => (options.account.as_ref()).and_then(|it| credential_of(&mut client, it)),
        false => None,
    };
    let now = clock::now();
    match (&options.account, accounts.as_slice()) {
        _ if options.shape == Shape::Json => {
            output::print_json(&status::json(&accounts, &sinks, credential.as_ref()))
        }
        _ if !output::is_terminal() => output::print(status::lines(&accounts).as_bytes()),
        (Some(_), [account]) => {
            let credential = credential.as_ref();
            let detail = status::detail(account, credential, now, output::width());
            output::print((detail + &status::sinks(&sinks)).as_bytes())
        }
        (_, []) => {
            output::note("there is no account that you may see");
            Ok(())
        }
        _ => {
            let table = status::table(&accounts, now, output::width());
            let failing: Vec<_> = sinks
                .into_iter()
                .filter(|it| it.problem.is_some())
                .collect();
            output::print((table + &status::sinks(&failing)).as_bytes())
        }
    }
}

/// What sinks report. The status does not depend on it: a daemon of before they could report refuses the question, or hangs up.
fn sinks_of(client: &mut BlockingClient, account: Option<&AccountName>) -> Vec<SinkLine> {
    client.admin().sinks(account).unwrap_or_default()
}

/// What the account logs in with. The status does not depend on it either.
fn credential_of(client: &mut BlockingClient, account: &AccountName) -> Option<CredentialStatus> {
    client.admin().credential(account).ok()
}

fn list(socket: Option<&Path>, options: &List) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        account: &'a str,
        dialect: &'a str,
    }

    let accounts = connect(socket)?.list()?;
    let lines: Vec<_> = accounts
        .iter()
        .map(|line| Line {
            account: line.account.as_str(),
            dialect: &line.dialect,
        })
        .collect();
    if options.json {
        return output::print_json(&lines);
    }
    let people = output::is_terminal();
    if people && lines.is_empty() {
        output::note("there is no account that you may see");
    }
    let widest = lines
        .iter()
        .map(|line| line.account.len())
        .max()
        .unwrap_or(0);
    let text = lines.iter().map(|Line { account, dialect }| match people {
        true => format!("{account:widest$}  {dialect}\n"),
        false => format!("{account}\t{dialect}\n"),
    });
    output::print(text.collect::<String>().as_bytes())
}

fn show_caller(socket: Option<&Path>, options: &Whoami) -> Result<(), Failure> {
    let mut client = connect(socket)?;
    let who = client.whoami()?;
    let daemon = Daemon::of(&client);
    match options.json {
        true => output::print_json(&whoami::json(&who, Some(&daemon))),
        false => output::print(whoami::detail(&who, &daemon).as_bytes()),
    }
}

fn reload(socket: Option<&Path>) -> Result<(), Failure> {
    let said = connect(socket)?.admin().reload()?;
    output::note(&said);
    Ok(())
}

fn forget(socket: Option<&Path>, options: &Forget) -> Result<(), Failure> {
    let Forget { account, yes } = options;
    if !yes {
        if !input::is_terminal() {
            let what =
                format!("forgetting {account} deletes its stored credential and was not confirmed");
            return Err(Failure::usage(
                what,
                format!("if you mean it: tokenctl forget --yes {account}"),
            ));
        }
        let question =
            format!("delete everything stored for {account}? it will need a login again");
        if !input::confirm(&question)? {
            output::note("nothing was deleted");
            return Ok(());
        }
    }
    let said = connect(socket)?.admin().forget(account)?;
    output::note(&said);
    Ok(())
}

fn tell_token(account: &AccountName, newer: &Token, print: bool) -> Result<(), Failure> {
    let life = match newer.remaining {
        Some(left) => format!(
            "good for {}",
            words::duration(Duration::from_secs(left.as_secs()))
        ),
        None => "without a stated end".to_owned(),
    };
    output::note(&format!("{account} has a new token, {life}"));
    match print {
        true => output::print(&token::plain(newer)),
        false => Ok(()),
    }
}
