//! One conversation: bytes in, a request and the bytes of its answer out.
//!
//! Owns its order. In clear it has one message from each side; encrypted, two: the public keys, then the request and its answer. A connection
//! carries one conversation.

use aws_lc_rs::agreement::PrivateKey;
use zeroize::Zeroizing;

use super::reading::{First, FirstEnd, KEY, LONGEST, encrypted};
use super::reply::Reply;
use super::request::{Refusal, Request};
use super::secret_box::{NoRandomness, SharedKey, new_key, public};

/// Some clients take a read of this many bytes for a sign that more comes, so no answer may have a multiple of it.
const CLIENTS_READ: usize = 4096;

/// A conversation with one client.
#[derive(Debug, Default)]
pub struct Conversation {
    /// What was read and is not used up. A client might send credentials, which are refused.
    input: Zeroizing<Vec<u8>>,
    /// How many bytes came of this message, with the blanks before it, which are not kept.
    taken: usize,
    first: FirstEnd,
    key: Option<SharedKey>,
    over: bool,
    /// The private key, where a test has to know it.
    known: Option<PrivateKey>,
}

/// What has to be done after bytes came.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More has to be read.
    More,
    /// This has to be sent, and then more be read.
    Send(Vec<u8>),
    /// The request is whole; [`Conversation::answer`] makes the answer, also the one to a request that is refused.
    Asked(Result<Request, Refusal>),
}

impl Conversation {
    /// A conversation in which nothing was said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a part of a message came.
    pub fn has_begun(&self) -> bool {
        self.key.is_some() || !self.input.is_empty()
    }

    /// Takes what the client sent.
    ///
    /// # Errors
    /// A key is needed, and there are no random numbers for one.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Step, NoRandomness> {
        if self.over {
            return Ok(Step::More);
        }
        self.taken += bytes.len();
        if self.taken > LONGEST {
            return Ok(self.refuse(Refusal::NotARequest));
        }
        let bytes = match self.input.is_empty() {
            true => bytes.trim_ascii_start(),
            false => bytes,
        };
        self.input.extend_from_slice(bytes);
        match self.key.take() {
            None => self.take_first(),
            Some(key) => Ok(self.take_encrypted(key)),
        }
    }

    fn take_first(&mut self) -> Result<Step, NoRandomness> {
        match self.first.look(&self.input) {
            First::More => Ok(Step::More),
            First::Neither => Ok(self.refuse(Refusal::NotARequest)),
            First::Object => {
                self.over = true;
                Ok(Step::Asked(Request::read(&self.input)))
            }
            First::Key(at) => {
                let theirs = self.input.get(at..at + KEY).unwrap_or_default();
                let own = match self.known.take() {
                    Some(known) => known,
                    None => new_key()?,
                };
                let Ok(key) = SharedKey::agree(&own, theirs) else {
                    return Ok(self.refuse(Refusal::SuspiciousKey));
                };
                self.key = Some(key);
                self.input.clear();
                self.taken = 0;
                Ok(Step::Send(public(&own)?))
            }
        }
    }

    fn take_encrypted(&mut self, key: SharedKey) -> Step {
        // Without the key, what is wrong is said in clear: what the client could read is unknown.
        let opened = match encrypted(&self.input) {
            Ok(None) => {
                self.key = Some(key);
                return Step::More;
            }
            Ok(Some(parts)) => key.open(parts.nonce, parts.secret_box),
            Err(_) => None,
        };
        let Some(opened) = opened else {
            return self.refuse(Refusal::NotDecrypted);
        };
        self.over = true;
        self.key = Some(key);
        Step::Asked(Request::read(&opened))
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.over = true;
        Step::Asked(Err(refusal))
    }

    /// The bytes of an answer, encrypted if the client began so. They have to be sent by one write.
    ///
    /// # Errors
    /// It has to be encrypted, and there are no random numbers for that.
    pub fn answer(&self, reply: &Reply) -> Result<Zeroizing<Vec<u8>>, NoRandomness> {
        let mut json = reply.json();
        loop {
            let bytes = match &self.key {
                None => json.clone(),
                Some(key) => Zeroizing::new(key.seal(&json)?),
            };
            if bytes.len() % CLIENTS_READ != 0 {
                return Ok(bytes);
            }
            json.push(b' ');
        }
    }
}

#[cfg(test)]
mod tests;
