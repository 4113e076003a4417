//! The values of metric labels, and an array index for each of them.
//!
//! Owns the only mapping from a variant of a closed enum to an array index: no lookup goes by text or by the order of a list elsewhere.

use tokend_engine::{AttemptKind, AttemptOutcome};
use tokend_proto::RequestKind;

use std::marker::PhantomData;

/// An enum whose variants are the values of a label.
pub(super) trait Label<const N: usize>: Copy + 'static {
    /// All variants, each at its own index.
    const ALL: [Self; N];

    /// The index of the variant.
    fn index(self) -> usize;
}

/// One value for each variant of an enum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Each<L, T, const N: usize>([T; N], PhantomData<L>);

#[expect(
    clippy::indexing_slicing,
    reason = "an index below N; a test goes through all"
)]
impl<L: Label<N>, T, const N: usize> Each<L, T, N> {
    pub(super) fn of(&self, label: L) -> &T {
        &self.0[label.index()]
    }

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

/// Implements the label for an enum with `ALL`.
macro_rules! label {
    ($($type:ty),+) => {
        $(impl Label<{ <$type>::ALL.len() }> for $type {
            const ALL: [Self; <$type>::ALL.len()] = <$type>::ALL;

            fn index(self) -> usize {
                self as usize
            }
        })+
    };
}

label!(RequestKind, AttemptKind, AttemptOutcome);

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order<L, const N: usize>(name: impl Fn(L) -> &'static str)
    where
        L: Label<N> + std::fmt::Debug,
    {
        let all = L::ALL;
        for (at, label) in all.iter().enumerate() {
            assert_eq!(label.index(), at, "{label:?}");
            let same = all.iter().filter(|it| name(**it) == name(*label));
            assert_eq!(same.count(), 1, "{label:?}");
        }
    }

    #[test]
    fn every_variant_has_a_place_and_a_name_of_its_own() {
        in_order(RequestKind::as_str);
        in_order(AttemptKind::as_str);
        in_order(AttemptOutcome::as_str);
    }
}
