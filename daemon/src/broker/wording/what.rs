//! The name of an entered credential, without the credential.

use std::fmt;

use tokend_config::Account;
use tokend_dialect::label_of;
use tokend_store::EnteredSecrets;

use crate::broker::login_means;

/// An entered credential by the names of its fields, without the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Secrets of a login.
    Fields(Box<[Box<str>]>),
    RefreshToken,
}

impl What {
    pub(crate) fn of(secrets: &EnteredSecrets) -> Self {
        match secrets {
            EnteredSecrets::Fields(fields) => Self::Fields(fields.keys().cloned().collect()),
            EnteredSecrets::RefreshToken(_) => Self::RefreshToken,
        }
    }

    /// The options of `tokenctl login` that say what is entered, each after a blank.
    pub(super) fn options(&self, account: &Account) -> String {
        match self {
            Self::RefreshToken => " --refresh-token".to_owned(),
            Self::Fields(fields) => login_means::options(account, fields),
        }
    }
}

/// `the password and the pin you entered`.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = match self {
            Self::RefreshToken => return f.write_str("the refresh token you entered"),
            Self::Fields(fields) => fields,
        };
        let names: Vec<_> = fields
            .iter()
            .map(|it| format!("the {}", label_of(it)))
            .collect();
        write!(f, "{} you entered", names.join(" and "))
    }
}
