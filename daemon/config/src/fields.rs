//! The part of an account that its dialect uses: its address and the fields of its credential.
//!
//! Owns the checks of both against the dialect. Plain values may be shown; a secret is only ever a reference.

use std::collections::BTreeMap;

use tokend_dialect::{Dialect, EndpointSettings, FieldUse, standard_fields};
use tokend_document::{Diagnostics, Section, Value, choose_from};
use tokend_proto::AccountName;
use url::Url;

use super::dialects::KnownDialect;
use super::fingerprint::Fingerprint;
use super::proxy::is_this_machine;
use super::reading::Reading;
use super::secret_ref::secret;
use crate::secret_ref::{SecretPlace, SecretRef};

/// The valid fields of an account.
#[derive(Debug, Default)]
pub(super) struct AccountFields {
    /// Values that may be shown.
    pub(super) plain: BTreeMap<String, String>,
    /// The places of secrets.
    pub(super) secret: BTreeMap<String, SecretRef>,
    /// Fields that are present but wrong, so that they are not also reported as missing.
    wrong: Vec<String>,
}

impl AccountFields {
    /// Reads the standard fields.
    pub(super) fn take(&mut self, section: &mut Section<'_>, reading: &mut Reading<'_>) {
        for (name, is_secret) in standard_fields() {
            if let Some(value) = section.take(name) {
                self.field(name, (is_secret, false), value, reading);
            }
        }
    }

    /// Reads the fields a dialect adds, from the account `name` itself and from its `fields` table.
    pub(super) fn take_custom<'p>(
        &mut self,
        section: &mut Section<'p>,
        known: &'p KnownDialect,
        name: &AccountName,
        reading: &mut Reading<'_>,
    ) {
        let mut take = |section: &mut Section<'p>, reading: &mut Reading<'_>| {
            for field in known.fields.iter().filter(|field| is_custom(field)) {
                if let Some(value) = section.take(&field.name) {
                    let kind = (field.secret, field.multiline);
                    self.field(&field.name, kind, value, reading);
                }
            }
        };
        take(section, reading);
        if let Some(mut fields) = section.section("fields", &mut reading.diagnostics) {
            take(&mut fields, reading);
            let diagnostics = &mut reading.diagnostics;
            refuse_refresh_token(&mut fields, name, Some(&known.dialect), diagnostics);
            fields.finish(diagnostics);
        }
    }

    /// Notes fields that the dialect does not use, and required fields that are missing.
    ///
    /// `needed` is how the dialect uses its fields with the account's options, where those are right.
    pub(super) fn check(
        &self,
        section: &Section<'_>,
        known: &KnownDialect,
        needed: Option<&[FieldUse]>,
        diagnostics: &mut Diagnostics,
    ) {
        let dialect = known.dialect.name();
        for name in self.plain.keys().chain(self.secret.keys()) {
            if known.field(name).is_none() {
                let used = known.fields.iter().filter(|field| !field.internal);
                let used: Vec<&str> = used.map(|field| &*field.name).collect();
                let message = format!("dialect `{dialect}` has no use for `{name}`");
                section.note_key(name, diagnostics, message, choose_from(name, &used));
            }
        }
        for field in needed.into_iter().flatten() {
            let name = &field.name;
            let there = self.has(name) || self.wrong.contains(name);
            // `tokenctl login` can supply it, so that an account may live without it in files.
            let can_be_entered = field.is_enterable() || (field.secret && !is_custom(field));
            if !field.required || field.internal || there || can_be_entered {
                continue;
            }
            let example = match field.secret {
                true => "{ file = \"/path/to/it\" }",
                false => "\"...\"",
            };
            let message = format!("dialect `{dialect}` needs `{name}`");
            section.note(diagnostics, message, format!("add `{name} = {example}`"));
        }
    }

    /// The fingerprint of all given fields and of `site`.
    pub(super) fn fingerprint(&self, site: &str) -> Fingerprint {
        let mut parts = vec![site];
        self.plain
            .iter()
            .for_each(|(name, value)| parts.extend(["plain", name, value]));
        for (name, place) in &self.secret {
            parts.extend(["secret", name]);
            match &place.place {
                SecretPlace::Credential(name) => parts.extend(["credential", name]),
                SecretPlace::File { path, .. } => {
                    parts.extend(["file", path.to_str().unwrap_or_default()]);
                }
                SecretPlace::Env(name) => parts.extend(["env", name]),
                SecretPlace::Command(words) => {
                    parts.push("command");
                    parts.extend(words.iter().map(|word| &**word));
                }
            }
            // Only if set, so that existing fingerprints stay the same.
            if place.whole {
                parts.push("whole");
            }
        }
        Fingerprint::of(parts)
    }

    /// Whether the field has a valid value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secret.contains_key(name)
    }

    fn field(
        &mut self,
        name: &str,
        (is_secret, is_multiline): (bool, bool),
        value: Value<'_>,
        reading: &mut Reading<'_>,
    ) {
        let own = name.to_owned();
        if self.has(name) {
            let message = format!("`{name}` is set twice here");
            value.hidden().note(&mut reading.diagnostics, message, None);
        } else if is_secret {
            match secret(name, value, reading) {
                Some(mut place) => {
                    place.whole |= is_multiline;
                    self.secret.insert(own, place);
                }
                None => self.wrong.push(own),
            }
        } else {
            match value.text(&mut reading.diagnostics) {
                Some(text) => drop(self.plain.insert(own, text.to_owned())),
                None => self.wrong.push(own),
            }
        }
    }
}

/// Notes a refresh token of the account `name`. Each use replaces a refresh token, so a token at a fixed place is used up after the first
/// refresh. Presenting it again may lose the whole login.
pub(super) fn refuse_refresh_token(
    section: &mut Section<'_>,
    name: &AccountName,
    dialect: Option<&Dialect>,
    diagnostics: &mut Diagnostics,
) {
    let (message, help) = match dialect {
        Some(dialect) if !dialect.can_refresh() => (
            format!("dialect `{}` has no use for `refresh_token`", dialect.name()),
            "take it out".to_owned(),
        ),
        _ => (
            "a refresh token cannot stand in the configuration, since each use of it may bring another in its place".to_owned(),
            format!("enter the first one with `tokenctl login {name} --refresh-token`; the daemon keeps the newer ones"),
        ),
    };
    section.refuse("refresh_token", diagnostics, message, help);
}

fn is_custom(field: &FieldUse) -> bool {
    !field.internal && !standard_fields().any(|(name, _)| name == field.name)
}

/// The address of the account's provider, with the values it was read from.
#[derive(Debug)]
pub(super) struct Address<'p> {
    /// The settings that the dialect checks.
    pub(super) settings: EndpointSettings,
    values: Vec<(String, Value<'p>)>,
}

/// Something wrong with an address: the key, the sentence, the advice.
pub(super) type AddressError = (String, String, String);

impl<'p> Address<'p> {
    /// Reads the keys that make an address. `None` when one of them is wrong.
    /// `otherwise` is the base URL where the account names none and its dialect uses none.
    pub(super) fn take(
        section: &mut Section<'p>,
        otherwise: Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let before = diagnostics.count();
        let mut values = Vec::new();
        let own_path = section.has("login_path") || section.has("refresh_path");
        let otherwise = otherwise.filter(|_| !own_path && !section.has("base_url"));
        let what = "where the provider is, such as \"https://api.example.com\"";
        let base_url = match otherwise {
            Some(_) => section.take("base_url"),
            None => section.require("base_url", what, diagnostics),
        };
        let base_url = base_url.and_then(|value| {
            let text = value.text(diagnostics)?.to_owned();
            // A password in a URL comes before an `@`.
            let value = match text.contains('@') {
                true => value.hidden(),
                false => value,
            };
            values.push(("base_url".to_owned(), value));
            Some(text)
        });
        let mut text = |key: &'static str, diagnostics: &mut Diagnostics| {
            let value = section.take(key)?;
            let text = value.text(diagnostics)?.to_owned();
            values.push((key.to_owned(), value));
            Some(text)
        };
        let endpoint = text("endpoint", diagnostics);
        let login_path = text("login_path", diagnostics);
        let refresh_path = text("refresh_path", diagnostics);
        let mut options = BTreeMap::new();
        let table = section.section("options", diagnostics);
        for (key, value) in table.into_iter().flat_map(Section::entries) {
            // Any key is possible until the dialect is asked, so this may be a password; hide it. The dialect's message names a wrong
            // option value.
            let value = value.hidden();
            if let Some(text) = value.written(diagnostics) {
                options.insert(key.name.to_string(), text);
                values.push((format!("options.{}", key.name), value));
            }
        }
        let base_url = base_url.or(otherwise);
        let base_url = base_url.filter(|_| diagnostics.count() == before)?;
        let settings = EndpointSettings {
            base_url,
            endpoint,
            login_path,
            refresh_path,
            options,
        };
        Some(Self { settings, values })
    }

    /// Everything that makes the address, each value after the name of its key.
    pub(super) fn parts(&self) -> Vec<&str> {
        let EndpointSettings {
            base_url,
            endpoint,
            login_path,
            refresh_path,
            options,
        } = &self.settings;
        let mut parts = vec![&**base_url];
        let own = [
            ("endpoint", endpoint),
            ("login_path", login_path),
            ("refresh_path", refresh_path),
        ];
        for (key, value) in own {
            value.iter().for_each(|value| parts.extend([key, value]));
        }
        for (key, value) in options {
            parts.extend(["options", key, value]);
        }
        parts
    }

    /// Notes what the dialect found wrong.
    pub(super) fn wrong(&self, (key, message, help): AddressError, diagnostics: &mut Diagnostics) {
        let found = self.values.iter().find(|(name, _)| *name == key);
        if let Some((_, value)) = found.or(self.values.first()) {
            value.note(diagnostics, message, help);
        }
    }
}

/// A password must not cross a network in the clear; on a loopback address there is no network.
pub(super) fn check_scheme(base_url: &str) -> Result<(), AddressError> {
    // The dialect crate reports text that is not a URL.
    let Ok(url) = Url::parse(base_url) else {
        return Ok(());
    };
    if url.scheme() != "http" || is_this_machine(&url) {
        return Ok(());
    }
    let message =
        "`base_url` must begin with https://, since credentials are sent there".to_owned();
    let help =
        "plain http:// is only for a loopback address: 127.0.0.1, [::1] or localhost".to_owned();
    Err(("base_url".to_owned(), message, help))
}
