//! The provider's ledger: accounts, tokens, families, suspension. Pure; the time is an argument.
//!
//! Must never know HTTP: it takes a [`Call`] and yields an [`Outcome`], which each API writes in its own form.

use std::collections::HashMap;

use super::{
    account::Account,
    calls::{Call, Outcome, Processed},
    fault::Script,
    log::{Log, Presented, Standing},
    spec::{AccountSpec, Api},
    tokens::Mint,
};
use crate::clock::Now;

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) accounts: Vec<Account>,
    pub(super) script: Script,
    pub(super) log: Log,
    mint: Mint,
    /// Token text to the account it was issued to.
    owners: HashMap<String, usize>,
}

impl Ledger {
    pub(super) fn new(accounts: Vec<AccountSpec>) -> Self {
        let accounts = accounts.into_iter().map(Account::new).collect();
        let (script, log, mint) = Default::default();
        Self {
            accounts,
            script,
            log,
            mint,
            owners: HashMap::new(),
        }
    }

    /// Forgets tokens, faults and the log; the accounts stay as they were set up.
    pub(super) fn reset(&mut self) {
        for account in &mut self.accounts {
            let in_flight = account.in_flight;
            *account = Account::new(account.spec.clone());
            account.in_flight = in_flight;
        }
        self.owners.clear();
        self.script.clear(None);
        self.log.clear();
    }

    pub(super) fn named(&mut self, name: &str) -> Option<&mut Account> {
        self.accounts
            .iter_mut()
            .find(|account| account.spec.name == name)
    }

    /// The account that a call concerns, whether or not its credential is right.
    pub(super) fn concerned(&self, api: Api, call: &Call) -> Option<usize> {
        match call {
            Call::Login(shown) => self.accounts.iter().position(|account| {
                let name = match (&shown.user, &shown.client) {
                    (Some((user, _)), _) => account.spec.username.as_ref().map(|name| name == user),
                    (None, Some((client, _))) => {
                        account.spec.client_id.as_ref().map(|name| name == client)
                    }
                    (None, None) => None,
                };
                account.spec.api == api && name == Some(true)
            }),
            Call::Refresh { token, .. } | Call::Resource { token } => {
                self.owners.get(token).copied().filter(|&owner| {
                    self.accounts
                        .get(owner)
                        .is_some_and(|it| it.spec.api == api)
                })
            }
        }
    }

    /// The state of the token in a call, before anything is done with it.
    pub(super) fn presented(
        &self,
        owner: Option<usize>,
        call: &Call,
        now: Now,
    ) -> Option<Presented> {
        let account = owner.and_then(|owner| self.accounts.get(owner));
        let found = match call {
            Call::Login(_) => return None,
            Call::Refresh { token, .. } => account.and_then(|it| it.refresh_standing(token, now)),
            Call::Resource { token } => account.and_then(|it| it.access_standing(token, now)),
        };
        Some(match found {
            Some((serial, standing)) => Presented {
                serial: Some(serial),
                standing,
            },
            None => Presented {
                serial: None,
                standing: Standing::Unknown,
            },
        })
    }

    /// Processes the call.
    pub(super) fn process(
        &mut self,
        owner: Option<usize>,
        call: &Call,
        sequence: u64,
        now: Now,
    ) -> Processed {
        let Some((index, account)) =
            owner.and_then(|index| Some((index, self.accounts.get_mut(index)?)))
        else {
            return Processed::refused(match call {
                Call::Login(_) => Outcome::BadCredentials,
                Call::Refresh { .. } => Outcome::RefreshRefused,
                Call::Resource { .. } => Outcome::ResourceRefused,
            });
        };
        if let Call::Resource { token } = call {
            let good = account.access_standing(token, now);
            let open = matches!(good, Some((_, Standing::Current))) && !account.is_suspended(now);
            return Processed::refused(if open {
                Outcome::ResourceOpen
            } else {
                Outcome::ResourceRefused
            });
        }
        if let Some(outcome) = account.limit(sequence, now, &mut self.log) {
            return Processed::refused(outcome);
        }
        let processed = match call {
            Call::Login(shown) => account.login(shown, &mut self.mint, now),
            Call::Refresh { token, client } => {
                account.refresh(token, client.as_ref(), &mut self.mint, now)
            }
            Call::Resource { .. } => Processed::refused(Outcome::ResourceRefused),
        };
        if let Outcome::Granted(grant) = &processed.outcome {
            self.owners.insert(grant.access.clone(), index);
            if let Some(refresh) = &grant.refresh {
                self.owners.insert(refresh.clone(), index);
            }
        }
        for text in account.forgotten.drain(..) {
            self.owners.remove(&text);
        }
        processed
    }
}

impl Processed {
    pub(super) fn refused(outcome: Outcome) -> Self {
        Self {
            outcome,
            issued: None,
        }
    }
}
