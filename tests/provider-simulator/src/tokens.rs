//! Makes tokens that look like those in the documents: JWTs and `sk-…` strings.
//!
//! The signature of a JWT is random: nobody may verify one, and a broker that tries must fail here.

use std::hash::{BuildHasher as _, RandomState};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::spec::Api;
use crate::clock::Now;

/// A source of unique tokens.
#[derive(Debug, Default)]
pub(super) struct Mint {
    state: RandomState,
    made: u64,
}

impl Mint {
    /// An access token of `api` that ends at `expires` (Unix seconds).
    pub(super) fn access(&mut self, api: Api, subject: &str, now: Now, expires: f64) -> String {
        match api {
            Api::ClientCredentials => format!("sk-{}", self.hex(2)),
            _ => self.jwt(api, subject, "access", now, expires),
        }
    }

    /// A refresh token of `api` that ends at `expires` (Unix seconds).
    pub(super) fn refresh(&mut self, api: Api, subject: &str, now: Now, expires: f64) -> String {
        match api {
            // Padding and slashes on purpose: a refresh token is opaque bytes.
            Api::Oauth2 => format!("{}/+{}==", self.hex(1), self.hex(2)),
            _ => self.jwt(api, subject, "refresh", now, expires),
        }
    }

    fn jwt(&mut self, api: Api, subject: &str, kind: &str, now: Now, expires: f64) -> String {
        let id = self.hex(2);
        let issued = now.unix.as_secs_f64();
        let (header, claims) = match api {
            // AuthX writes `exp` as a float.
            Api::AdVerification => (
                r#"{"alg":"HS256","typ":"JWT"}"#,
                json!({"sub": subject, "jti": id, "type": kind, "iat": issued, "exp": expires}),
            ),
            // The sample of document 001 has no `iat`.
            Api::JwtApi => (
                r#"{"typ":"JWT","alg":"HS256"}"#,
                json!({"user_id": id, "aud": "fastapi-users:auth", "exp": expires.floor() as u64}),
            ),
            _ => (
                r#"{"alg":"HS256","typ":"JWT"}"#,
                json!({"token_type": kind, "exp": expires.floor() as u64, "iat": issued as u64, "jti": id, "user_id": subject}),
            ),
        };
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.hex(2));
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{signature}",
            encode(header),
            encode(&claims.to_string())
        )
    }

    fn hex(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 16);
        for _ in 0..words {
            self.made += 1;
            text.push_str(&format!("{:016x}", self.state.hash_one(self.made)));
        }
        text
    }
}
