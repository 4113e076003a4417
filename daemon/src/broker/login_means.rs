//! The credentials an account needs for a login.
//!
//! Owns the questions about them: whether a login is possible, what a person may enter, and what to ask that person for. Looks at the
//! configuration and the dialect, whose fields have all the names; looks at a secret only to find its first and last character.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use tokend_config::Account;
use tokend_dialect::{FieldUse, MULTILINE_LIMIT, ProviderMessage, VALUE_LIMIT};
use tokend_notation::Lines;
use tokend_proto::{Fault, FaultCode, LoginSecret, NamedSecret, SecretText};
use tokend_record::Entered;
use tokend_store::EnteredSecrets;

/// The most secrets that are entered at once: no dialect has that many.
const MOST_AT_ONCE: usize = 16;

/// Whether everything that a login needs is available.
pub(crate) fn can_login(account: &Account, entered: &Entered) -> bool {
    account.dialect.can_login_at(&account.endpoint)
        && required(account).all(|field| is_at_hand(account, &field, entered))
}

/// What a client entered, if the account can use it: by the rule for secrets in files and at the prompt. `tokenctl` applies the rule too;
/// but a line end or a second line from another client must not be stored and sent to a provider either.
///
/// # Errors
/// A fault that says why not and what to do instead.
pub(crate) fn taken(account: &Account, sent: LoginSecret) -> Result<EnteredSecrets, Box<Fault>> {
    match sent.into_named() {
        Ok(named) => taken_fields(account, vec![named]),
        Err(token) => {
            may_refresh(account)?;
            let alone = alone(&token, "refresh token", Lines::One, SecretText::MAX_LEN)?;
            Ok(EnteredSecrets::RefreshToken(alone))
        }
    }
}

/// The same, of secrets by the names of their fields.
///
/// # Errors
/// A fault that says why not and what to do instead.
pub(crate) fn taken_fields(
    account: &Account,
    sent: Vec<NamedSecret>,
) -> Result<EnteredSecrets, Box<Fault>> {
    let bad = |message: &str| {
        let fault = Fault::new(FaultCode::BadRequest, message);
        Box::new(fault.advise("send each secret once, with the name of its field"))
    };
    if sent.is_empty() || sent.len() > MOST_AT_ONCE {
        return Err(bad("a credential has 1 to 16 secrets"));
    }
    let mut fields = BTreeMap::new();
    for NamedSecret { field, secret } in sent {
        let known = accepts(account, &field)?;
        let (lines, limit) = match known.multiline {
            true => (Lines::All, MULTILINE_LIMIT),
            false => (Lines::One, VALUE_LIMIT),
        };
        let secret = alone(&secret, &known.label(), lines, limit)?;
        if fields.insert(field.into(), secret).is_some() {
            return Err(bad("a field was sent twice"));
        }
    }
    Ok(EnteredSecrets::Fields(fields))
}

/// Whether a person may enter a refresh token.
fn may_refresh(account: &Account) -> Result<(), Box<Fault>> {
    if account.dialect.can_refresh_at(&account.endpoint) {
        return Ok(());
    }
    let message = format!(
        "account {} cannot use a refresh token: dialect {} has no refresh",
        account.name,
        account.dialect.name()
    );
    Err(refuse(message, format!("enter {}", what_to_enter(account))))
}

/// The field for which a person may enter a secret.
fn accepts(account: &Account, field: &str) -> Result<FieldUse, Box<Fault>> {
    let name = &account.name;
    if let Some(place) = account.secret(field) {
        let message = format!("the {field} of account {name} comes from {place}, as configured");
        let advice = format!(
            "change it there and run `tokenctl reload`; or remove `{field}` from [account.{}] to enter it here",
            name.toml_key()
        );
        return Err(refuse(message, advice));
    }
    secrets_of_logins(account)
        .find(|known| known.name == field)
        .ok_or_else(|| {
            let message = format!(
                "account {name} has no use for a {field}: a login by dialect {} sends none",
                account.dialect.name()
            );
            refuse(message, format!("enter {}", what_to_enter(account)))
        })
}

/// The part of a client's input that is the secret.
fn alone(
    sent: &SecretText,
    what: &str,
    lines: Lines,
    limit: usize,
) -> Result<SecretString, Box<Fault>> {
    let advice = match lines {
        Lines::All => "send the secret alone",
        Lines::One | Lines::First => "send the secret alone, as one line of text",
    };
    let no_secret = |why: &dyn fmt::Display| {
        let fault = Fault::new(FaultCode::BadRequest, format!("the {what} {why}"));
        Box::new(fault.advise(advice))
    };
    let found = tokend_notation::secret(sent.expose().as_bytes(), lines);
    let found = found.map_err(|why| no_secret(&why))?.text;
    match found.len() <= limit {
        true => Ok(SecretString::from(found)),
        false => Err(no_secret(&format_args!("is longer than {limit} bytes"))),
    }
}

/// The part of an account that a provider refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefusedPart {
    /// A secret with this name, which the configuration refers to.
    Configured(String),
    /// The client itself, for which the configuration has no secret.
    Client,
    /// A credential that a person entered.
    Entered,
    /// The field of a secret that can be entered.
    EnteredOne(String),
}

/// Which part of the account the provider refused by its message. A refusal that names the client is about the client.
pub(crate) fn refused(account: &Account, message: Option<&str>) -> RefusedPart {
    const CLIENTS: [&str; 2] = ["invalid_client", "incorrect_client_credentials"];
    let named = message.and_then(ProviderMessage::secret_in);
    if let Some(name) = named.filter(|name| account.secret(name).is_some()) {
        return RefusedPart::Configured(name.to_owned());
    }
    if let Some(name) = named.filter(|name| required(account).any(|it| it.name == *name)) {
        return RefusedPart::EnteredOne(name.to_owned());
    }
    let of_client =
        message.is_some_and(|message| CLIENTS.iter().any(|code| message.contains(code)));
    // This includes a secret that the dialect can do without: it was sent, since it exists.
    let sent = account.dialect.fields_at(&account.endpoint).into_iter();
    let mut sent = sent
        .filter(|field| field.secret && !field.internal)
        .filter(|field| account.secret(&field.name).is_some());
    let enters_client = required(account).find(FieldUse::is_of_client);
    match (
        of_client,
        sent.find(|field| !of_client || field.is_of_client()),
    ) {
        (_, Some(secret)) => RefusedPart::Configured(secret.name),
        // Whatever else a person enters, the client would be refused again.
        (true, None) => enters_client.map_or(RefusedPart::Client, |field| {
            RefusedPart::EnteredOne(field.name)
        }),
        (false, None) => RefusedPart::Entered,
    }
}

/// What a person can enter to get the account working, as the end of a sentence.
pub(crate) fn what_to_enter(account: &Account) -> String {
    let of_login: Vec<_> = required(account)
        .filter(|field| account.secret(&field.name).is_none())
        .map(|field| format!("its {}", field.label()))
        .collect();
    let mut parts = Vec::new();
    if !of_login.is_empty() {
        parts.push(of_login.join(" and "));
    }
    if account.dialect.renews_itself_at(&account.endpoint) {
        parts.push("an access token that is still valid (`--refresh-token`)".to_owned());
    } else if account.dialect.can_refresh_at(&account.endpoint) {
        parts.push("a refresh token (`--refresh-token`)".to_owned());
    }
    if parts.is_empty() {
        "a new credential".to_owned()
    } else {
        parts.join(" or ")
    }
}

/// The options with which `tokenctl login` asks for these fields, each after a blank. Without any it asks for the first one that can be
/// entered, unless others are missing.
pub(crate) fn options(account: &Account, fields: &[impl AsRef<str>]) -> String {
    let first = required(account).find(|field| account.secret(&field.name).is_none());
    match (fields, first) {
        ([one], Some(first)) if one.as_ref() == first.name => String::new(),
        _ => (fields.iter())
            .map(|field| format!(" --field {}", field.as_ref()))
            .collect(),
    }
}

/// The secret of the client that a login sends, also if it is optional because the client may be public.
pub(crate) fn client_secret(account: &Account) -> Option<FieldUse> {
    secrets_of_logins(account).find(FieldUse::is_of_client)
}

/// The secrets that every login needs.
fn required(account: &Account) -> impl Iterator<Item = FieldUse> {
    secrets_of_logins(account).filter(|field| field.required)
}

/// The secrets that logins send, in the order in which they are asked for.
pub(crate) fn secrets_of_logins(account: &Account) -> impl Iterator<Item = FieldUse> {
    let fields = account.dialect.fields_at(&account.endpoint).into_iter();
    fields.filter(FieldUse::is_enterable)
}

fn is_at_hand(account: &Account, field: &FieldUse, entered: &Entered) -> bool {
    let name = field.name.as_str();
    entered.has(name) || account.secret(name).is_some() || account.field(name).is_some()
}

fn refuse(message: String, advice: String) -> Box<Fault> {
    Box::new(Fault::new(FaultCode::Misconfigured, message).advise(advice))
}
