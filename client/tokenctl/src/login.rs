//! `login`: a person enters a credential.
//!
//! Owns the order: the daemon is found and trusted, and says what the account needs, before anything is typed.

use std::collections::BTreeSet;
use std::path::Path;

use tokend_client::{
    AccountName, BlockingClient, ClientError, CredentialField, CredentialStatus, FaultCode,
    LoginSecret, NamedSecret, SecretOrigin, SecretText,
};

use crate::arguments::{Kind, Login};
use crate::connection::connect;
use crate::failure::Failure;
use crate::input::{self, Asked};
use crate::{output, trust};

/// Asks for the credential, and sends it to the daemon.
pub(crate) fn run(socket: Option<&Path>, options: &Login) -> Result<(), Failure> {
    let Login { account, kind } = options;
    let sent = match kind {
        Kind::Missing | Kind::Fields(_) => {
            let known = known(socket, account)?;
            match (kind, known) {
                (Kind::Fields(names), known) => named(account, names, known.as_ref())?,
                (_, Some(known)) => named(account, &missing(&known)?, Some(&known))?,
                // The daemon is of an older release, or does not tell the caller.
                (_, None) => Sent::One(LoginSecret::Password(one(account, "password")?)),
            }
        }
        Kind::Password => Sent::One(LoginSecret::Password(greeted(socket, account, "password")?)),
        Kind::ClientSecret => Sent::One(LoginSecret::ClientSecret(greeted(
            socket,
            account,
            "client secret",
        )?)),
        Kind::RefreshToken => Sent::One(LoginSecret::RefreshToken(greeted(
            socket,
            account,
            "refresh token",
        )?)),
    };
    // The first connection is not kept: the daemon gives a silent peer little time.
    let mut client = trusted(socket)?;
    let said = match sent {
        Sent::One(secret) => client.admin().login(account, secret)?,
        Sent::Named(secrets) => client.admin().enter(account, secrets)?,
    };
    output::note(&said);
    Ok(())
}

/// What was entered, as it is sent.
enum Sent {
    One(LoginSecret),
    Named(Vec<NamedSecret>),
}

/// Asks for one secret. Connects before a person types anything for a daemon that is absent or not theirs.
fn greeted(
    socket: Option<&Path>,
    account: &AccountName,
    what: &str,
) -> Result<SecretText, Failure> {
    if input::is_terminal() {
        trusted(socket)?.greet()?;
    }
    one(account, what)
}

fn trusted(socket: Option<&Path>) -> Result<BlockingClient, Failure> {
    let client = connect(socket)?;
    trust::demand(&client)?;
    Ok(client)
}

/// What the account logs in with; `None` if the daemon is of an older release, or the caller may enter a credential and see nothing else.
fn known(
    socket: Option<&Path>,
    account: &AccountName,
) -> Result<Option<CredentialStatus>, Failure> {
    let mut client = trusted(socket)?;
    client.greet()?;
    match client.admin().credential(account) {
        Ok(known) => Ok(Some(known)),
        Err(ClientError::Fault(fault))
            if matches!(fault.code, FaultCode::BadRequest | FaultCode::NotAllowed) =>
        {
            Ok(None)
        }
        // 0.1.0 hangs up when it is asked what it does not know.
        Err(ClientError::Lost { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The fields that a login needs and nobody has given; else the first one that a person can enter again, or at all.
fn missing(known: &CredentialStatus) -> Result<Vec<String>, Failure> {
    let required = || known.fields.iter().filter(|field| field.required);
    let is = |origin| move |field: &&CredentialField| field.origin == origin;
    let names: Vec<_> = required()
        .filter(is(SecretOrigin::Missing))
        .map(|field| field.field.clone())
        .collect();
    let again = required().find(is(SecretOrigin::Entered));
    let again = again.or(known.fields.iter().find(is(SecretOrigin::Entered)));
    let again = again.or(known.fields.iter().find(is(SecretOrigin::Missing)));
    match (names.is_empty(), again, known.can_refresh) {
        (false, ..) => Ok(names),
        (true, Some(field), _) => Ok(vec![field.field.clone()]),
        (true, None, true) => Err(Failure::usage(
            format!("account {} needs no secret for a login", known.account),
            format!(
                "enter a refresh token: tokenctl login {} --refresh-token",
                known.account
            ),
        )),
        (true, None, false) => Err(Failure::usage(
            format!("account {} has everything it needs", known.account),
            format!("see: tokenctl status {}", known.account),
        )),
    }
}

/// Asks for the secrets of these fields.
fn named(
    account: &AccountName,
    names: &[String],
    known: Option<&CredentialStatus>,
) -> Result<Sent, Failure> {
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(Failure::usage(
            "a field is named twice",
            "give each --field once",
        ));
    }
    let asked: Vec<_> = names
        .iter()
        .map(|name| {
            let fields = known.into_iter().flat_map(|known| &known.fields);
            let field = fields.into_iter().find(|field| field.field == *name);
            let label = name.replace('_', " ");
            let about = field.map(|field| field.description.as_str());
            let about = about.filter(|about| !about.is_empty());
            Asked {
                prompt: about.map_or_else(String::new, |about| format!(" ({about})")),
                what: format!("{label} of {account}"),
                is_multiline: field.is_some_and(|field| field.multiline),
            }
        })
        .collect();
    let secrets = input::secrets(&asked)?;
    let named = names
        .iter()
        .zip(secrets)
        .map(|(field, secret)| NamedSecret {
            field: field.clone(),
            secret,
        });
    Ok(Sent::Named(named.collect()))
}

fn one(account: &AccountName, what: &str) -> Result<SecretText, Failure> {
    input::secret(&format!("{what} of {account}"))
}
