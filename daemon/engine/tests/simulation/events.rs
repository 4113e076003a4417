//! Events read back from what `{:?}` shows of them.
//!
//! Owns which words stand for which values. Every record is made field by field, so that a new field of an event does not compile
//! until it is read here; a new variant is found by the test that every event of a run reads back as it was.

use std::time::Duration;

use tokend_engine::{
    AccountKey, AccountPlan, Adoption, AttemptId, AttemptKind, Block, Candidate, ClaimRefusal,
    Deferral, Demand, Durable, Event, GrantFacts, GrantId, HostKey, HostPlan, HostUsed, Intent,
    LastAsked, LoginUsed, NoVerdict, Problem, ProviderAnswer, Rate, RefreshPolicy, RefreshToken,
    Reuse, StoreRefusal, Tat, Timestamp, TokenFacts, WaiterId, Want,
};

use crate::tree::Tree;

/// A value that can be read back.
pub(crate) trait Read: Sized {
    /// # Errors
    /// What was found instead.
    fn read(tree: &Tree) -> Result<Self, String>;
}

fn no<T>(what: &str, tree: &Tree) -> Result<T, String> {
    Err(format!("not {what}: `{tree}`"))
}

fn field<T: Read>(tree: &Tree, name: &str) -> Result<T, String> {
    let value = tree.field(name);
    let value = value.ok_or_else(|| format!("there is no {name} in `{tree}`"))?;
    T::read(value).map_err(|why| format!("{name}: {why}"))
}

macro_rules! records {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl Read for $name {
            fn read(tree: &Tree) -> Result<Self, String> {
                match tree {
                    Tree::Fields(name, _) if name == stringify!($name) => {
                        Ok(Self { $($field: field(tree, stringify!($field))?),+ })
                    }
                    _ => no(stringify!($name), tree),
                }
            }
        }
    )+};
}

macro_rules! words {
    ($($name:ident { $($variant:ident),+ })+) => {$(
        impl Read for $name {
            fn read(tree: &Tree) -> Result<Self, String> {
                match tree {
                    $(Tree::Word(word) if word == stringify!($variant) => Ok(Self::$variant),)+
                    _ => no(stringify!($name), tree),
                }
            }
        }
    )+};
}

macro_rules! wrappers {
    ($($name:ident)+) => {$(
        impl Read for $name {
            fn read(tree: &Tree) -> Result<Self, String> {
                match tree {
                    Tree::Tuple(name, values) if name == stringify!($name) => match &values[..] {
                        [value] => Ok(Self(Read::read(value)?)),
                        _ => no(stringify!($name), tree),
                    },
                    _ => no(stringify!($name), tree),
                }
            }
        }
    )+};
}

macro_rules! plain {
    ($($name:ty)+) => {$(
        impl Read for $name {
            fn read(tree: &Tree) -> Result<Self, String> {
                match tree {
                    Tree::Word(word) => word.parse().or_else(|_| no(stringify!($name), tree)),
                    _ => no(stringify!($name), tree),
                }
            }
        }
    )+};
}

plain! { bool u32 u64 }
wrappers! { AccountKey AttemptId GrantId HostKey WaiterId Tat }
words! {
    Block { CredentialRejected, Misconfigured }
    ClaimRefusal { Store, Secret, Request, RefreshToken }
    AttemptKind { Login, Refresh }
    Problem {
        Unprepared, Unreachable, Busy, Misbehaved, InDoubt, RefreshRejected, BornExpired, Unrecognised
    }
    RefreshPolicy { Auto, Always, OnDemand }
    Reuse { None, Rotates, RotatesAndReuseRevokes, Unknown }
}
records! {
    Adoption { plan, can_login, cured, durable, host_unknown, asked }
    Candidate { attempt, kind, same }
    Deferral { until, by_provider }
    Demand { min_validity, start_by, answer_by }
    Durable {
        attempts, logins, host, last_attempt, intent, held, overtaken, refresh, candidate, spare, spare_unsent, block, problem,
        failures, deferral, no_verdict
    }
    GrantFacts { lifetime, refresh_token, refresh_token_lost, refresh_lifetime }
    TokenFacts { grant, issued, expires }
    HostPlan { rate, in_flight }
    HostUsed { tat, sent_by }
    Intent { attempt, kind }
    NoVerdict { refreshes, logins, logins_from, lost_logins, login_refused, login_misconfigured }
    AccountPlan {
        host, refresh_host, attempts, logins, reuse, refresh, refresh_ends_access, refresh_needs_access, refresh_presents_access
    }
    RefreshToken { expires, in_doubt, refused }
    LoginUsed { attempts, logins, deferred_until, attempt_by, login_by }
}

impl Read for () {
    fn read(tree: &Tree) -> Result<Self, String> {
        match tree {
            Tree::Tuple(name, values) if name.is_empty() && values.is_empty() => Ok(()),
            _ => no("()", tree),
        }
    }
}

impl Read for StoreRefusal {
    fn read(tree: &Tree) -> Result<Self, String> {
        match tree {
            Tree::Word(word) if word == "StoreRefusal" => Ok(Self),
            _ => no("StoreRefusal", tree),
        }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(tree: &Tree) -> Result<Self, String> {
        match named(tree) {
            ("None", []) => Ok(None),
            ("Some", [value]) => T::read(value).map(Some),
            _ => no("an option", tree),
        }
    }
}

impl<T: Read, E: Read> Read for Result<T, E> {
    fn read(tree: &Tree) -> Result<Self, String> {
        match named(tree) {
            ("Ok", [value]) => T::read(value).map(Ok),
            ("Err", [value]) => E::read(value).map(Err),
            _ => no("a result", tree),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(tree: &Tree) -> Result<Self, String> {
        match tree {
            Tree::List(values) => values.iter().map(T::read).collect(),
            _ => no("a list", tree),
        }
    }
}

impl<T: Read> Read for Box<T> {
    fn read(tree: &Tree) -> Result<Self, String> {
        T::read(tree).map(Self::new)
    }
}

impl Read for Rate {
    fn read(tree: &Tree) -> Result<Self, String> {
        let rate = Self::new(field(tree, "burst")?, field(tree, "period")?);
        rate.map_or_else(|| no("a rate", tree), Ok)
    }
}

impl Read for LastAsked {
    fn read(tree: &Tree) -> Result<Self, String> {
        match named(tree) {
            ("LastAsked", [at]) => {
                let asked = Self::default();
                asked.touch(Timestamp::from_millis(u64::read(at)?));
                Ok(asked)
            }
            _ => no("LastAsked", tree),
        }
    }
}

impl Read for Timestamp {
    fn read(tree: &Tree) -> Result<Self, String> {
        stamp(&tree.to_string()).map_or_else(|| no("a time", tree), Ok)
    }
}

/// A time of the engine's clock: `seconds.milliseconds`, or `far`.
pub(crate) fn stamp(text: &str) -> Option<Timestamp> {
    if text == "far" {
        return Some(Timestamp::FAR);
    }
    let (seconds, millis) = text.split_once('.')?;
    let whole = seconds.parse::<u64>().ok()?.checked_mul(1000)?;
    let part = millis.parse().ok().filter(|_| millis.len() == 3)?;
    Some(Timestamp::from_millis(whole.checked_add(part)?))
}

impl Read for Duration {
    fn read(tree: &Tree) -> Result<Self, String> {
        duration(&tree.to_string()).map_or_else(|| no("a duration", tree), Ok)
    }
}

/// A duration as `{:?}` shows it, which is exact: digits, perhaps a fraction, and a unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.')?;
    let (number, unit) = text.split_at(digits);
    let of_unit: u128 = match unit {
        "ns" => 1,
        "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(of_unit)?;
    let mut of_digit = of_unit;
    for digit in part.chars() {
        of_digit /= 10;
        nanos += u128::from(digit.to_digit(10)?) * of_digit;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let below = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, below))
}

/// The name and the values of a tuple; a word has none.
fn named(tree: &Tree) -> (&str, &[Tree]) {
    match tree {
        Tree::Word(word) => (word, &[]),
        Tree::Tuple(name, values) => (name, values),
        Tree::Fields(name, _) => (name, &[]),
        Tree::List(_) => ("", &[]),
    }
}

impl Read for Want {
    fn read(tree: &Tree) -> Result<Self, String> {
        match named(tree) {
            ("Get", []) => Ok(Self::Get),
            ("Rejected", [grant]) => Ok(Self::Rejected(Read::read(grant)?)),
            ("Forced", []) => Ok(Self::Forced),
            _ => no("Want", tree),
        }
    }
}

impl Read for ProviderAnswer {
    fn read(tree: &Tree) -> Result<Self, String> {
        Ok(match named(tree) {
            ("Granted", [facts]) => Self::Granted(Read::read(facts)?),
            ("Renewed", []) => Self::Renewed {
                refresh_lifetime: field(tree, "refresh_lifetime")?,
                misconfigured: field(tree, "misconfigured")?,
            },
            ("Busy", []) => Self::Busy {
                retry_after: field(tree, "retry_after")?,
            },
            ("CredentialRejected", []) => Self::CredentialRejected,
            ("RefreshRejected", []) => Self::RefreshRejected,
            ("Misconfigured", []) => Self::Misconfigured,
            ("Misbehaved", []) => Self::Misbehaved {
                maybe_processed: field(tree, "maybe_processed")?,
            },
            ("Unrecognised", []) => Self::Unrecognised,
            ("NotSent", []) => Self::NotSent,
            ("MaybeSent", []) => Self::MaybeSent,
            _ => return no("ProviderAnswer", tree),
        })
    }
}

impl Read for Event {
    fn read(tree: &Tree) -> Result<Self, String> {
        Ok(match named(tree) {
            ("Host", [key, plan]) => Self::Host(Read::read(key)?, Read::read(plan)?),
            ("HostUsed", [key, used]) => Self::HostUsed(Read::read(key)?, Read::read(used)?),
            ("Adopt", [key, adoption]) => Self::Adopt(Read::read(key)?, Read::read(adoption)?),
            ("Spent", [key, spent]) => Self::Spent(Read::read(key)?, Read::read(spent)?),
            ("Remove", [key]) => Self::Remove(Read::read(key)?),
            ("Left", [key, waiter]) => Self::Left(Read::read(key)?, Read::read(waiter)?),
            ("Asked", [key]) => Self::Asked(Read::read(key)?),
            ("EnteredAgain", [key, id]) => Self::EnteredAgain(Read::read(key)?, Read::read(id)?),
            ("Claimed", [key, id, result]) => {
                Self::Claimed(Read::read(key)?, Read::read(id)?, Read::read(result)?)
            }
            ("Recorded", [key, id, result]) => {
                Self::Recorded(Read::read(key)?, Read::read(id)?, Read::read(result)?)
            }
            ("Doubted", [key, id, refresh_token]) => Self::Doubted(
                Read::read(key)?,
                Read::read(id)?,
                Read::read(refresh_token)?,
            ),
            ("Answered", [key, id, answer]) => {
                Self::Answered(Read::read(key)?, Read::read(id)?, Read::read(answer)?)
            }
            ("Committed", [key, result]) => Self::Committed(Read::read(key)?, Read::read(result)?),
            ("Drain", []) => Self::Drain,
            _ => return of_fields(tree),
        })
    }
}

/// An event whose parts have names.
fn of_fields(tree: &Tree) -> Result<Event, String> {
    let account = field(tree, "account");
    Ok(match named(tree).0 {
        "Replan" => Event::Replan {
            account: account?,
            plan: field(tree, "plan")?,
            can_login: field(tree, "can_login")?,
            cured: field(tree, "cured")?,
        },
        "Outdated" => Event::Outdated {
            account: account?,
            by_login: field(tree, "by_login")?,
            by_refresh: field(tree, "by_refresh")?,
        },
        "Wanted" => Event::Wanted {
            account: account?,
            waiter: field(tree, "waiter")?,
            demand: field(tree, "demand")?,
            want: field(tree, "want")?,
        },
        "Entered" => Event::Entered {
            account: account?,
            waiter: field(tree, "waiter")?,
            demand: field(tree, "demand")?,
            refresh_token: field(tree, "refresh_token")?,
            can_login: field(tree, "can_login")?,
        },
        "Forget" => Event::Forget {
            account: account?,
            waiter: field(tree, "waiter")?,
            can_login: field(tree, "can_login")?,
        },
        _ => return no("an event", tree),
    })
}
