//! Tokens for the SDKs that ask an endpoint.
//!
//! Owns what a token may be asked for, and how long it should still live. Everything else is the daemon's decision, once for each request.

use std::time::Duration;

use tokend_client::{
    AccountName, BlockingClient, ClientError, FaultCode, GetOptions, SocketPath, Token,
};
use tokend_notation::ApiUrl;

use super::{azure, external_account, gce};
use crate::arguments::EndpointKind;
use crate::failure::{Exit, Failure};
use crate::words;

/// How long an SDK waits for a token that has to be obtained first.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long the token that is there may take, after a longer one could not be had.
const AT_HAND: Duration = Duration::from_secs(2);
/// The longest purpose that is repeated in a sentence.
const SHOWN: usize = 100;

/// The account of an endpoint.
pub(super) struct Source {
    pub(super) socket: SocketPath,
    pub(super) account: AccountName,
    /// What its token is for, beside what the daemon knows: resources or scopes.
    pub(super) purposes: Vec<String>,
    /// With less than this left, the SDK asks anew each time.
    pub(super) margin: Duration,
}

impl Source {
    pub(super) fn new(
        socket: SocketPath,
        kind: EndpointKind,
        account: AccountName,
        purposes: Vec<String>,
    ) -> Self {
        let margin = match kind {
            EndpointKind::Azure => azure::MARGIN,
            EndpointKind::Gce => gce::MARGIN,
            EndpointKind::ExternalAccount => external_account::MARGIN,
        };
        Self {
            socket,
            account,
            purposes,
            // The SDK counts from when the answer came.
            margin: Duration::from_secs(margin + 10),
        }
    }

    /// The token. One that lives long enough for the SDK to keep it, or else the one that is there.
    pub(super) fn token(&self) -> Result<Token, Failure> {
        let mut client = BlockingClient::connect(&self.socket)?;
        let demand = GetOptions::new(self.account.clone());
        let longer = demand.clone().min_validity(self.margin).timeout(PATIENCE);
        match client.get(&longer) {
            Err(ClientError::Fault(fault)) if may_be_had_shorter(fault.code) => {
                Ok(client.get(&demand.timeout(AT_HAND)).map_err(told_to_sdks)?)
            }
            got => Ok(got.map_err(told_to_sdks)?),
        }
    }

    /// Refuses a resource that the token is not for: one that is not named, at an address that is not the account's.
    pub(super) fn demand_resource(&self, resource: &str) -> Result<(), Failure> {
        if self.is_named(resource) {
            return Ok(());
        }
        let mut client = BlockingClient::connect(&self.socket)?;
        let lines = client.apis(Some(&self.account))?;
        let origin = origin(resource);
        let mut urls = lines.iter().flat_map(|line| &line.urls);
        match origin.is_some() && urls.any(|url| self::origin(url) == origin) {
            true => Ok(()),
            false => Err(self.not_for("resource", resource)),
        }
    }

    /// Refuses a scope that the token is not known to have.
    pub(super) fn demand_scopes(&self, scopes: &[String], token: &Token) -> Result<(), Failure> {
        let has = |scope: &str| {
            let granted = token.scope.as_deref().unwrap_or_default();
            self.is_named(scope) || granted.split(' ').any(|it| it == scope)
        };
        match scopes.iter().find(|scope| !has(scope)) {
            None => Ok(()),
            Some(other) => Err(self.not_for("scope", other)),
        }
    }

    fn is_named(&self, purpose: &str) -> bool {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        self.purposes.iter().any(|it| bare(it) == bare(purpose))
    }

    fn not_for(&self, what: &str, named: &str) -> Failure {
        let named: String = words::plain(named).chars().take(SHOWN).collect();
        Failure::new(
            Exit::Config,
            format!(
                "the token of {} is not known to be for the {what} {named}",
                self.account
            ),
            format!("if it is, say so with --for {named}"),
        )
    }
}

/// Without advice about options that a program with an SDK does not have.
fn told_to_sdks(error: ClientError) -> ClientError {
    match error {
        ClientError::Fault(fault)
            if matches!(fault.code, FaultCode::Timeout | FaultCode::Paced) =>
        {
            ClientError::Fault(fault.advise("ask again later: an attempt that has begun continues"))
        }
        error => error,
    }
}

/// Whether a token that ends sooner may be there.
fn may_be_had_shorter(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::ValidityUnattainable
            | FaultCode::Paced
            | FaultCode::ProviderUnreachable
            | FaultCode::ProviderBusy
            | FaultCode::ProviderMisbehaved
            | FaultCode::InDoubt
            | FaultCode::LoginRequired
            | FaultCode::Timeout
    )
}

/// An address without its path.
fn origin(url: &str) -> Option<ApiUrl> {
    let (scheme, rest) = url.split_once("://")?;
    ApiUrl::parse(&format!("{scheme}://{}", rest.split('/').next()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_without_its_path() {
        let is_one = |a: &str, b: &str| origin(a).is_some() && origin(a) == origin(b);
        assert!(is_one(
            "https://api.example.com/v1/",
            "HTTPS://API.example.com"
        ));
        assert!(is_one(
            "https://api.example.com:443",
            "https://api.example.com/"
        ));
        assert!(!is_one(
            "https://api.example.com",
            "https://api.example.com.evil.test"
        ));
        assert!(!is_one(
            "https://api.example.com",
            "https://api.example.com:444"
        ));
        assert!(!is_one("api://x", "api://x"));
        assert!(!is_one("https://a@b", "https://a@b"));
    }
}
