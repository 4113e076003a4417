//! One account of the async client.
//!
//! Owns what is asked for; every token is asked of the daemon.

use std::sync::Arc;

use tokend_proto::AccountName;

use crate::source::{newer, urls};
use crate::{Answer, Client, GetOptions, Token, TokenSource};

/// The tokens of one account, each asked of the daemon; see [`Client::account`].
#[derive(Debug, Clone)]
pub struct Account {
    client: Client,
    options: GetOptions,
}

impl Client {
    /// One account, as a [`TokenSource`](crate::TokenSource) over the same connection.
    pub fn account(&self, options: GetOptions) -> Account {
        Account {
            client: self.clone(),
            options,
        }
    }
}

impl Account {
    /// Its name.
    pub fn name(&self) -> &AccountName {
        &self.options.account
    }
}

impl TokenSource for Account {
    fn token(&self) -> Answer<'_, Arc<Token>> {
        Box::pin(async { self.client.get(&self.options).await.map(Arc::new) })
    }

    fn reject<'a>(&'a self, refused: &'a Token) -> Answer<'a, Arc<Token>> {
        Box::pin(async {
            let (client, patience) = (&self.client, self.options.patience());
            let answered = client.reject(self.name(), refused.access_token.clone(), patience);
            newer(answered.await?).map(Arc::new)
        })
    }

    fn is_refusal<'a>(&'a self, status: u16, body: &'a [u8]) -> Answer<'a, bool> {
        Box::pin(self.client.is_refusal(self.name(), status, body))
    }

    fn urls(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { self.client.apis(Some(self.name())).await.map(urls) })
    }
}
