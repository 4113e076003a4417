//! The credentials an account needs for a login.
//!
//! Owns the questions about them: whether a login is possible, what a person may enter, and what to ask that person for. Looks at the
//! configuration; looks at a secret only to find its first and last character.

use std::fmt;

use tokend_config::Account;
use tokend_dialect::{FieldUse, ProviderMessage, UsedBy};
use tokend_notation::Lines;
use tokend_proto::{Fault, FaultCode, LoginSecret, SecretText};

use tokend_record::Entered;

/// Whether everything that a login needs is available.
pub(crate) fn can_login(account: &Account, entered: Entered) -> bool {
    account.dialect.can_login_at(&account.endpoint)
        && login_secrets(account).all(|field| is_at_hand(account, &field, entered))
}

/// Whether a person may enter this secret for this account.
///
/// # Errors
/// A fault that says why not and what to do instead.
pub(crate) fn accepts(account: &Account, secret: &LoginSecret) -> Result<(), Box<Fault>> {
    let name = &account.name;
    let field = match secret {
        LoginSecret::Password(_) => "password",
        LoginSecret::ClientSecret(_) => "client_secret",
        LoginSecret::RefreshToken(_) => {
            if account.dialect.can_refresh_at(&account.endpoint) {
                return Ok(());
            }
            let message = format!(
                "account {name} cannot use a refresh token: dialect {} has no refresh",
                account.dialect.name()
            );
            return Err(refuse(message, format!("enter {}", what_to_enter(account))));
        }
    };
    if let Some(place) = account.secret(field) {
        let message = format!("the {field} of account {name} comes from {place}, as configured");
        let advice = format!(
            "change it there and run `tokenctl reload`; or remove `{field}` from [account.{}] to enter it here",
            name.toml_key()
        );
        return Err(refuse(message, advice));
    }
    if !takes(account, field) {
        let message = format!(
            "account {name} has no use for a {field}: a login by dialect {} sends none",
            account.dialect.name()
        );
        return Err(refuse(message, format!("enter {}", what_to_enter(account))));
    }
    Ok(())
}

/// The one line that is the secret in a client's input, by the rule for secrets in files and at the prompt. `tokenctl` applies the rule
/// too; but a line end or a second line from another client must not be stored and sent to a provider either.
///
/// # Errors
/// A fault that says why the input is no secret.
pub(crate) fn alone(sent: LoginSecret) -> Result<LoginSecret, Box<Fault>> {
    let (what, text, again): (_, _, fn(SecretText) -> LoginSecret) = match &sent {
        LoginSecret::Password(text) => ("password", text, LoginSecret::Password),
        LoginSecret::ClientSecret(text) => ("client secret", text, LoginSecret::ClientSecret),
        LoginSecret::RefreshToken(text) => ("refresh token", text, LoginSecret::RefreshToken),
    };
    let no_secret = |why: &dyn fmt::Display| {
        let fault = Fault::new(FaultCode::BadRequest, format!("the {what} {why}"));
        Box::new(fault.advise("send the secret alone, as one line of text"))
    };
    let found = tokend_notation::secret(text.expose().as_bytes(), Lines::One);
    let alone = found.map_err(|why| no_secret(&why))?.text;
    if alone.len() == text.len() {
        return Ok(sent);
    }
    let alone = SecretText::new(alone).map_err(|why| no_secret(&why))?;
    Ok(again(alone))
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
    /// The name for people of a secret that can be entered.
    EnteredOne(String),
}

/// Which part of the account the provider refused by its message. A refusal that names the client is about the client.
pub(crate) fn refused(account: &Account, message: Option<&str>) -> RefusedPart {
    const CLIENTS: [&str; 2] = ["invalid_client", "incorrect_client_credentials"];
    let named = message.and_then(ProviderMessage::secret_in);
    if let Some(name) = named.filter(|name| account.secret(name).is_some()) {
        return RefusedPart::Configured(name.to_owned());
    }
    if let Some(name) = named.filter(|name| login_secrets(account).any(|it| it.name == *name)) {
        return RefusedPart::EnteredOne(name.replace('_', " "));
    }
    let of_client =
        message.is_some_and(|message| CLIENTS.iter().any(|code| message.contains(code)));
    // This includes a secret that the dialect can do without: it was sent, since it exists.
    let sent = account.dialect.fields_at(&account.endpoint).into_iter();
    let mut sent = sent
        .filter(|field| field.secret && !field.internal)
        .filter(|field| account.secret(&field.name).is_some())
        .map(|field| field.name);
    let enters_client = login_secrets(account).any(|field| field.name == "client_secret");
    match (
        of_client,
        sent.find(|name| !of_client || name == "client_secret"),
    ) {
        (_, Some(secret)) => RefusedPart::Configured(secret),
        (true, None) if !enters_client => RefusedPart::Client,
        // Whatever else a person enters, the client would be refused again.
        (true, None) => RefusedPart::EnteredOne("client secret".to_owned()),
        (false, None) => RefusedPart::Entered,
    }
}

/// What a person can enter to get the account working, as the end of a sentence.
pub(crate) fn what_to_enter(account: &Account) -> String {
    let enterable = |name: &str| matches!(name, "password" | "client_secret");
    let mut parts: Vec<_> = login_secrets(account)
        .filter(|field| enterable(&field.name) && account.secret(&field.name).is_none())
        .map(|field| match field.name.as_str() {
            "client_secret" => "its client secret (`--client-secret`)".to_owned(),
            name => format!("its {}", name.replace('_', " ")),
        })
        .collect();
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

/// Whether a login sends this secret, also if it is optional, such as the secret of a client that may be public.
pub(crate) fn takes(account: &Account, field: &str) -> bool {
    secrets_of_logins(account).any(|known| known.name == field)
}

/// The secrets that every login needs.
fn login_secrets(account: &Account) -> impl Iterator<Item = FieldUse> {
    secrets_of_logins(account).filter(|field| field.required)
}

fn secrets_of_logins(account: &Account) -> impl Iterator<Item = FieldUse> {
    account
        .dialect
        .fields_at(&account.endpoint)
        .into_iter()
        .filter(|field| field.secret && !field.internal && field.used_by != UsedBy::Refresh)
}

fn is_at_hand(account: &Account, field: &FieldUse, entered: Entered) -> bool {
    let by_person = match field.name.as_str() {
        "password" => entered.password,
        "client_secret" => entered.client_secret,
        _ => false,
    };
    by_person || account.secret(&field.name).is_some() || account.field(&field.name).is_some()
}

fn refuse(message: String, advice: String) -> Box<Fault> {
    Box::new(Fault::new(FaultCode::Misconfigured, message).advise(advice))
}
