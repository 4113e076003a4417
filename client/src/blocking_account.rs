//! One account of the blocking client.
//!
//! Owns what is asked for, and the client; every token is asked of the daemon.

use crate::source::{newer, urls};
use crate::{BlockingClient, BlockingTokenSource, ClientError, GetOptions, Token};

/// The tokens of one account, each asked of the daemon; see [`BlockingClient::account`].
#[derive(Debug)]
pub struct BlockingAccount {
    client: BlockingClient,
    options: GetOptions,
}

impl BlockingClient {
    /// The account of this name, as a [`BlockingTokenSource`](crate::BlockingTokenSource) that owns this client.
    pub fn account(self, options: GetOptions) -> BlockingAccount {
        BlockingAccount {
            client: self,
            options,
        }
    }
}

impl BlockingTokenSource for BlockingAccount {
    fn token(&mut self) -> Result<Token, ClientError> {
        self.client.get(&self.options)
    }

    fn reject(&mut self, refused: &Token) -> Result<Token, ClientError> {
        let (refused, patience) = (refused.access_token.clone(), self.options.patience());
        let answered = self
            .client
            .reject(&self.options.account, refused, patience)?;
        newer(answered)
    }

    fn is_refusal(&mut self, status: u16, body: &[u8]) -> Result<bool, ClientError> {
        self.client.is_refusal(&self.options.account, status, body)
    }

    fn urls(&mut self) -> Result<Vec<String>, ClientError> {
        self.client.apis(Some(&self.options.account)).map(urls)
    }
}
