//! Claims within one process: an account has at most one at a time, each with a higher fence than any before it.
//!
//! Must never outlive the store that made them: a claim from before a restart is fenced.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::error::StoreError;

/// The right to attempt and to commit for one account, until released. Not `Clone`: there is one of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claim that is dropped without release blocks its account"]
pub struct Claim {
    account: AccountId,
    fence: u64,
}

impl Claim {
    /// The account.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// A number higher than that of every earlier claim of this store, across restarts.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

/// How many low bits of a fence count claims within one opening of the store; the rest count openings.
const CLAIM_BITS: u32 = 36;

/// The live claims of one opening of a store.
#[derive(Debug)]
pub(crate) struct Claims {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_fence: u64,
    live: HashMap<AccountId, u64>,
}

impl Claims {
    /// Claims of the `epoch`-th opening.
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            state: Mutex::new(State {
                last_fence: epoch.saturating_mul(1 << CLAIM_BITS),
                live: HashMap::new(),
            }),
        }
    }

    pub(crate) fn claim(&self, account: &AccountId) -> Result<Claim, StoreError> {
        let mut state = self.lock();
        if let Some(&fence) = state.live.get(account) {
            return Err(StoreError::Claimed {
                account: account.clone(),
                fence,
            });
        }
        state.last_fence += 1;
        let fence = state.last_fence;
        state.live.insert(account.clone(), fence);
        Ok(Claim {
            account: account.clone(),
            fence,
        })
    }

    pub(crate) fn check(&self, claim: &Claim) -> Result<(), StoreError> {
        if self.lock().live.get(&claim.account) == Some(&claim.fence) {
            return Ok(());
        }
        Err(StoreError::Fenced {
            account: claim.account.clone(),
            fence: claim.fence,
        })
    }

    pub(crate) fn release(&self, claim: &Claim) {
        let mut state = self.lock();
        if state.live.get(&claim.account) == Some(&claim.fence) {
            state.live.remove(&claim.account);
        }
    }

    /// Ends the live claim on an account, as its time limit would in a shared store.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn expire(&self, account: &AccountId) {
        self.lock().live.remove(account);
    }

    /// Ends all claims, as the death of the process does. Fences go on rising.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn expire_all(&self) {
        self.lock().live.clear();
    }

    // A panic cannot leave this state half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claim_lives_and_fences_rise_across_openings() {
        let ads = AccountId::new("ads").unwrap();
        let claims = Claims::new(1);
        let first = claims.claim(&ads).unwrap();
        assert_eq!(
            claims.claim(&ads),
            Err(StoreError::Claimed {
                account: ads.clone(),
                fence: first.fence()
            })
        );
        claims.expire(&ads);
        let second = claims.claim(&ads).unwrap();
        assert!(second.fence() > first.fence());
        claims.release(&first);
        assert_eq!(
            claims.check(&second),
            Ok(()),
            "a late release ends only its own claim"
        );
        assert!(claims.check(&first).is_err());

        let reopened = Claims::new(2);
        assert!(reopened.check(&second).is_err());
        assert!(reopened.claim(&ads).unwrap().fence() > second.fence());
    }
}
