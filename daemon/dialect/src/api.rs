//! What the tokens of an account are for: which addresses of the API, and how it wants them.
//!
//! Owns the addresses as they are written, which may begin at the account's `base_url`, and how an account's own settings stand before its
//! dialect's. Must never widen what somebody wrote: without an address, a token is for none.

use tokend_notation::{ApiUrl, NotAnApiUrl};

/// What `[api]` of a dialect or of an account says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Api {
    pub(crate) present: Option<Box<str>>,
    pub(crate) urls: Option<Box<[ApiPlace]>>,
}

/// An address as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ApiPlace {
    /// A path behind the account's `base_url`.
    Below(Box<str>),
    /// A whole address.
    At(ApiUrl),
}

impl Api {
    /// How the API wants a token, if it is said: `header:NAME`, `header:NAME:TEXT BEFORE`, `cookie:NAME`, `query:NAME`, or a scheme of
    /// `Authorization`.
    #[must_use]
    pub fn present(&self) -> Option<&str> {
        self.present.as_deref()
    }

    /// These settings, with those of `dialect` where nothing is said here.
    #[must_use]
    pub fn over(self, dialect: &Self) -> Self {
        Self {
            present: self.present.or_else(|| dialect.present.clone()),
            urls: self.urls.or_else(|| dialect.urls.clone()),
        }
    }

    /// The addresses that a token is for, of an account with this `base_url`.
    ///
    /// # Errors
    /// An address begins at `base_url`, and that is no plain address.
    pub fn urls(&self, base_url: &str) -> Result<Vec<ApiUrl>, NotAnApiUrl> {
        let places = self.urls.iter().flatten();
        places
            .map(|place| match place {
                ApiPlace::Below(path) => ApiUrl::parse(base_url)?.join(path),
                ApiPlace::At(url) => Ok(url.clone()),
            })
            .collect()
    }
}

impl ApiPlace {
    pub(crate) fn parse(text: &str) -> Result<Self, NotAnApiUrl> {
        match text.starts_with('/') {
            // Any address shows whether the path is one.
            true => ApiUrl::parse(&format!("https://api.example{text}"))
                .map(|_| Self::Below(text.into())),
            false => ApiUrl::parse(text).map(Self::At),
        }
    }
}
