//! Explanations for people: a dialect as text, the request it would send, and what it reads from a reply.
//!
//! Owns the text of `tokend dialect show` and `tokend dialect try`. It runs the same code as a real attempt, and never shows a token: of a
//! grant it shows only lengths.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Dialect, Endpoint, ExchangeKind, Fields, Grant, LifetimeSource, Processed, ProviderReply,
    RequestError, RetryAfter, SpentTokens,
};

/// Start and end of the stand-in for a field's value; every encoder leaves letters unchanged.
const MARK: (&str, &str) = ("ZqFieldZq", "ZqEndZq");

impl Dialect {
    /// The dialect as TOML: as its author wrote it, or with the settings that it inherits.
    #[must_use]
    pub fn show(&self) -> String {
        match &self.extends {
            None => self.own_text.to_string(),
            Some(_) => self.effective_toml(),
        }
    }

    /// All settings of the dialect, including inherited ones, as TOML without comments.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        // A table that was read from TOML can be written as TOML; the fallback is the one-line form.
        toml::to_string_pretty(&self.effective)
            .unwrap_or_else(|_| toml::Value::Table(self.effective.clone()).to_string())
    }

    /// The request that would be sent, with `<field>` in place of every value.
    ///
    /// # Errors
    /// The dialect has no such request with the options of this endpoint.
    pub fn explain_request(
        &self,
        kind: ExchangeKind,
        endpoint: &Endpoint,
    ) -> Result<String, RequestError> {
        let mut fields = Fields::new();
        for field in self.fields() {
            let (start, end) = MARK;
            let stand_in = format!("{start}{}{end}", field.name.replace('_', "ZqUnderZq"));
            fields.set_secret(field.name, SecretString::from(stand_in));
        }
        let request = self.request(kind, endpoint, &fields)?;
        Ok(unmark(&render(&request)))
    }

    /// What the dialect reads from a recorded reply, without the tokens. Texts are redacted as far as possible without knowing the
    /// secrets.
    #[must_use]
    pub fn explain_reply(&self, kind: ExchangeKind, response: &Response<Bytes>) -> String {
        let reply = self.read_reply(kind, response, &Fields::new());
        let mut out = format!(
            "{kind} answered with status {}: {}\n",
            response.status().as_u16(),
            reply.word()
        );
        match &reply {
            ProviderReply::Granted(grant) => {
                let renews_itself = self.renews_itself_at(&Endpoint::defaults());
                describe_grant(&mut out, kind, grant, renews_itself);
                if self.api().present().is_some() {
                    line(&mut out, "presented", &self.presented(&grant.token_type));
                }
            }
            ProviderReply::Busy { retry_after, .. } => {
                line(&mut out, "retry after", &retry(*retry_after))
            }
            ProviderReply::Misbehaved { processed, .. } => {
                line(&mut out, "processed", processed_words(*processed))
            }
            ProviderReply::Renewed { renewal, .. } => {
                let kept = format!("{}, kept", size(&renewal.refresh_token));
                line(&mut out, "refresh token", &kept);
            }
            ProviderReply::CredentialRejected(_)
            | ProviderReply::RefreshRejected(_)
            | ProviderReply::Misconfigured(_)
            | ProviderReply::Unrecognised(_) => {}
        }
        if let Some(message) = reply.provider_message() {
            line(&mut out, "code", message.code.as_deref().unwrap_or("none"));
            let text = Some(&*message.text).filter(|text| !text.is_empty());
            line(&mut out, "text", text.unwrap_or("none"));
            match message.spent {
                SpentTokens::RefreshToken => {
                    line(&mut out, "processed", processed_words(Processed::Maybe))
                }
                SpentTokens::AccessToken if self.refresh_ends_access_token() => {
                    let words = "yes: the access token before may be ended by it";
                    line(&mut out, "processed", words);
                }
                SpentTokens::AccessToken | SpentTokens::Nothing => {}
            }
        }
        line(&mut out, "then", consequence(&reply));
        out
    }

    /// How a token of this type is presented to the API.
    #[must_use]
    pub fn presented(&self, token_type: &str) -> String {
        let present = self.api().present().unwrap_or(token_type);
        match present.split_once(':') {
            Some(("header", header)) => {
                let (name, prefix) = header.split_once(':').unwrap_or((header, ""));
                format!("{name}: {prefix}<access_token>")
            }
            Some(("cookie", name)) => format!("cookie {name}=<access_token>"),
            Some(("query", name)) => format!("query parameter {name}=<access_token>"),
            _ => format!("Authorization: {present} <access_token>"),
        }
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "  {name:<16} {value}");
}

fn size(token: &SecretString) -> String {
    format!("{} characters", token.expose_secret().chars().count())
}

fn describe_grant(out: &mut String, kind: ExchangeKind, grant: &Grant, renews_itself: bool) {
    line(out, "access token", &size(&grant.access_token));
    line(out, "token type", &grant.token_type);
    let lifetime = match grant.lifetime {
        Some(lifetime) => format!("{lifetime:?}, {}", grant.lifetime_source),
        None => LifetimeSource::Unknown.to_string(),
    };
    line(out, "lifetime", &lifetime);
    let refresh = match (&grant.refresh_token, kind) {
        _ if renews_itself => "the access token itself, as a refresh presents that".to_owned(),
        (Some(token), _) => size(token),
        (None, _) if grant.refresh_token_lost => "one that cannot be used".to_owned(),
        (None, ExchangeKind::Login) => "none".to_owned(),
        (None, ExchangeKind::Refresh) => "none: the one held is kept".to_owned(),
    };
    line(out, "refresh token", &refresh);
    if let Some(lifetime) = grant.refresh_lifetime {
        line(out, "refresh lifetime", &format!("{lifetime:?}"));
    }
    line(out, "scope", grant.scope.as_deref().unwrap_or("not given"));
    for remark in &grant.remarks {
        line(out, "but", remark);
    }
}

fn retry(retry_after: Option<RetryAfter>) -> String {
    match retry_after {
        Some(RetryAfter::Delay(delay)) => format!("{delay:?}"),
        Some(RetryAfter::Later(delay, time)) => {
            format!("{delay:?}, or Unix time {time} by the provider's clock if that is later")
        }
        Some(RetryAfter::At(time)) => format!("Unix time {time} by the provider's clock"),
        None => "not given".to_owned(),
    }
}

fn processed_words(processed: Processed) -> &'static str {
    match processed {
        Processed::No => "no: the same refresh token can be sent again",
        Processed::Maybe => "maybe: a rotating provider may have used up the refresh token",
    }
}

fn render(request: &Request<Bytes>) -> String {
    let mut out = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        let pair = value.strip_prefix("Basic ");
        let shown = match pair.and_then(|text| STANDARD.decode(text).ok()) {
            Some(pair) => format!("Basic base64({})", String::from_utf8_lossy(&pair)),
            None => value.into_owned(),
        };
        let _infallible = writeln!(out, "{name}: {shown}");
    }
    if !request.body().is_empty() {
        let _infallible = writeln!(out, "\n{}", String::from_utf8_lossy(request.body()));
    }
    out
}

fn unmark(text: &str) -> String {
    let (start, end) = MARK;
    // A URI's host is written in lower case, but never contains a field.
    text.replace(start, "<")
        .replace(end, ">")
        .replace("ZqUnderZq", "_")
}

/// The broker's next step, in one sentence.
fn consequence(reply: &ProviderReply) -> &'static str {
    match reply {
        ProviderReply::Granted(_) => "the token is stored and handed out",
        ProviderReply::Busy { .. } => "ask again later, within the rate limit",
        ProviderReply::CredentialRejected(_) => {
            "stop: the credential is not tried again until it changes or a person asks for an attempt"
        }
        ProviderReply::RefreshRejected(_) => {
            "log in anew, if there is a credential and the rate limit allows it"
        }
        ProviderReply::Misconfigured(_)
        | ProviderReply::Renewed {
            misconfigured: true,
            ..
        } => "stop: nothing is sent until the configuration or the dialect changes",
        ProviderReply::Misbehaved { .. } | ProviderReply::Renewed { .. } => {
            "try again later with growing pauses"
        }
        ProviderReply::Unrecognised(_) => {
            "no verdict: keep everything and try again, a refresh after 1 minute to 6 hours, a login at most three times, hours apart"
        }
    }
}
