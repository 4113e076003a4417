//! The values of metric labels, and an array index for each of them.
//!
//! Owns the only mapping from a variant of a closed enum to an array index: no lookup goes by text or by the order of a list elsewhere.

use tokend_engine::{AttemptKind, AttemptOutcome};
use tokend_proto::{FaultCode, RequestKind, Response};

use std::marker::PhantomData;

/// An enum whose variants are the values of a label.
pub(super) trait Label<const N: usize>: Copy + 'static {
    /// All variants, each at its own index.
    const ALL: [Self; N];

    /// The index of the variant.
    fn index(self) -> usize;

    /// The text of the variant.
    fn as_str(self) -> &'static str;
}

/// One value for each variant of an enum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Each<L, T, const N: usize>([T; N], PhantomData<L>);

impl<L: Label<N>, T, const N: usize> Each<L, T, N> {
    #[expect(
        clippy::indexing_slicing,
        reason = "an index below N; a test goes through all"
    )]
    pub(super) fn of(&self, label: L) -> &T {
        &self.0[label.index()]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index below N; a test goes through all"
    )]
    pub(super) fn of_mut(&mut self, label: L) -> &mut T {
        &mut self.0[label.index()]
    }

    /// All variants with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (L, &T)> {
        L::ALL.into_iter().zip(&self.0)
    }
}

impl<L, T: Default, const N: usize> Default for Each<L, T, N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()), PhantomData)
    }
}

/// Implements the label for an enum with `ALL` and `as_str`.
macro_rules! label {
    ($($type:ty),+) => {
        $(impl Label<{ <$type>::ALL.len() }> for $type {
            const ALL: [Self; <$type>::ALL.len()] = <$type>::ALL;

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                <$type>::as_str(self)
            }
        })+
    };
}

label!(
    RequestKind,
    AttemptKind,
    AttemptOutcome,
    Found,
    ReloadResult
);

/// Whether a `get` found a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The token was held.
    Held,
    /// The client waited for the token.
    Waited,
}

impl Found {
    pub(super) const ALL: [Self; 2] = [Self::Held, Self::Waited];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waited => "waited",
        }
    }
}

/// The outcome of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReloadResult {
    Ok,
    Refused,
}

impl ReloadResult {
    pub(super) const ALL: [Self; 2] = [Self::Ok, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
        }
    }
}

/// The outcome of a request: success, or a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestOutcome {
    /// The index: success is first.
    place: usize,
}

/// The number of faults, plus one for success.
pub(super) const REQUEST_OUTCOMES: usize = FaultCode::ALL.len() + 1;

impl RequestOutcome {
    /// `None` for a fault of a newer release, which this daemon never returns: it has no index.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let Response::Fault(fault) = response else {
            return Some(Self { place: 0 });
        };
        let known = FaultCode::ALL.iter().position(|own| *own == fault.code);
        known.map(|at| Self { place: at + 1 })
    }
}

impl Label<REQUEST_OUTCOMES> for RequestOutcome {
    const ALL: [Self; REQUEST_OUTCOMES] = {
        let mut all = [Self { place: 0 }; REQUEST_OUTCOMES];
        let (mut rest, mut place): (&mut [Self], usize) = (&mut all, 0);
        while let [first, others @ ..] = rest {
            first.place = place;
            (rest, place) = (others, place + 1);
        }
        all
    };

    fn index(self) -> usize {
        self.place
    }

    fn as_str(self) -> &'static str {
        let fault = self.place.checked_sub(1);
        let fault = fault.and_then(|at| FaultCode::ALL.get(at));
        fault.map_or("ok", |code| code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use tokend_proto::Fault;

    use super::*;

    fn in_order<L: Label<N> + PartialEq + std::fmt::Debug, const N: usize>() {
        let all = L::ALL;
        for (at, label) in all.iter().enumerate() {
            assert_eq!(label.index(), at, "{label:?}");
            let same = all.iter().filter(|it| it.as_str() == label.as_str());
            assert_eq!(same.count(), 1, "{label:?}");
        }
    }

    #[test]
    fn every_variant_has_a_place_and_a_name_of_its_own() {
        in_order::<RequestKind, _>();
        in_order::<RequestOutcome, _>();
        in_order::<AttemptKind, _>();
        in_order::<AttemptOutcome, _>();
        in_order::<Found, _>();
        in_order::<ReloadResult, _>();
    }

    #[test]
    fn a_fault_without_a_name_counts_as_no_other() {
        let outcome = |code| RequestOutcome::of(&Response::Fault(Fault::new(code, "no")));
        for (code, place) in FaultCode::ALL.into_iter().zip(1..) {
            let outcome = outcome(code).unwrap();
            assert_eq!((outcome.index(), outcome.as_str()), (place, code.as_str()));
        }
        assert_eq!(outcome(FaultCode::Other(9_999)), None);
        let done = Response::Done {
            message: String::new(),
        };
        assert_eq!(RequestOutcome::of(&done).unwrap().as_str(), "ok");
    }
}
