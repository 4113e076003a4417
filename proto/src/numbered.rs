//! Enums whose numbers a newer peer may extend.
//!
//! Owns the one way such an enum is declared: its variants with their numbers and names, what an unknown number
//! becomes, and which number a peer gets that cannot read unknown ones. The number of a variant is its word on
//! the wire and never changes; a new variant takes the next one and says which older variant is nearest to it.

/// Declares an enum of numbers: `Variant = number, "name";`, or `Variant = number, "name", nearest Older;` for one
/// that version 1 of the protocol does not have. `others nearest Older` is what version 1 is told instead of a
/// number that this program does not know either.
macro_rules! numbered {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident, others nearest $fallback:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident = $number:literal, $text:literal $(, nearest $nearest:ident)?;
            )+
        }
    ) => {
        $(#[$meta])*
        ///
        /// Append-only: each variant has a number of its own on the wire, and one that is not known here is
        #[doc = concat!("[`", stringify!($name), "::Other`].")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $vis enum $name {
            $( $(#[$doc])* $variant, )+
            /// A number of a newer release. What else its message says is whole.
            Other(u32),
        }

        impl $name {
            /// Every variant this release knows, in the order of their numbers.
            $vis const ALL: [Self; [$($number),+].len()] = [$(Self::$variant),+];

            /// The number on the wire.
            $vis const fn number(self) -> u32 {
                match self {
                    $( Self::$variant => $number, )+
                    Self::Other(number) => number,
                }
            }

            /// What a number on the wire means.
            $vis const fn from_number(number: u32) -> Self {
                match number {
                    $( $number => Self::$variant, )+
                    other => Self::Other(other),
                }
            }

            /// The stable name in logs, metrics and output; `other` for a number that is not known.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Other(_) => "other",
                }
            }

            /// The stable name in output for programs; `other-NUMBER` for a number that is not known.
            $vis fn name(self) -> std::borrow::Cow<'static, str> {
                match self {
                    Self::Other(number) => format!("other-{number}").into(),
                    known => known.as_str().into(),
                }
            }

            /// What a peer is sent that speaks this version: itself, or the nearest that the version has.
            #[must_use]
            $vis const fn for_version(self, version: u16) -> Self {
                if version >= $crate::TOLERANT {
                    return self;
                }
                match self {
                    $( $( Self::$variant => Self::$nearest, )? )+
                    Self::Other(_) => Self::$fallback,
                    known => known,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(self.number())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <u32 as serde::Deserialize>::deserialize(deserializer).map(Self::from_number)
            }
        }
    };
}

pub(crate) use numbered;

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::{FaultCode, HEADER_LEN, RequestId, Response, VERSION, decode_server, encode};

    numbered! {
        /// The faults of a release to come, as far as the test needs them.
        enum Tomorrow, others nearest Paced {
            /// As today.
            Paced = 7, "paced";
            /// One that today does not know.
            QuotaSpent = 19, "quota-spent", nearest Paced;
            /// And one more.
            CardExpired = 20, "card-expired", nearest Paced;
        }
    }

    /// A fault as a daemon of tomorrow sends it.
    #[derive(Serialize)]
    struct Sent(
        RequestId,
        u32,
        Tomorrow,
        &'static str,
        Option<&'static str>,
        Option<u64>,
    );

    fn sent(code: Tomorrow) -> crate::ServerFrame {
        let mut bytes = Vec::new();
        let advice = Some("buy more");
        let frame = Sent(RequestId(4), 5, code, "the quota is spent", advice, Some(9));
        encode(&frame, &mut bytes).unwrap();
        decode_server(&bytes[HEADER_LEN..]).unwrap()
    }

    #[test]
    fn a_fault_of_tomorrow_is_read_today_with_its_message_and_advice() {
        for (code, read) in [
            (Tomorrow::Paced, FaultCode::Paced),
            (Tomorrow::QuotaSpent, FaultCode::Other(19)),
            (Tomorrow::CardExpired, FaultCode::Other(20)),
            (Tomorrow::Other(u32::MAX), FaultCode::Other(u32::MAX)),
        ] {
            let frame = sent(code);
            let Response::Fault(fault) = frame.response else {
                panic!("{frame:?}");
            };
            assert_eq!((frame.id, fault.code), (RequestId(4), read));
            assert_eq!(fault.message, "the quota is spent");
            assert_eq!(fault.advice.as_deref(), Some("buy more"));
            assert_eq!(fault.retry_after_ms, Some(9));
        }
        assert_eq!(FaultCode::Other(19).to_string(), "other-19");
        assert_eq!(FaultCode::Other(19).as_str(), "other");
    }

    #[test]
    fn version_1_is_sent_only_what_it_knows() {
        assert_eq!(Tomorrow::QuotaSpent.for_version(1), Tomorrow::Paced);
        assert_eq!(Tomorrow::Other(77).for_version(1), Tomorrow::Paced);
        assert_eq!(Tomorrow::Paced.for_version(1), Tomorrow::Paced);
        for version in [2, VERSION, u16::MAX] {
            assert_eq!(
                Tomorrow::QuotaSpent.for_version(version),
                Tomorrow::QuotaSpent
            );
            assert_eq!(
                Tomorrow::Other(77).for_version(version),
                Tomorrow::Other(77)
            );
        }
        for code in Tomorrow::ALL {
            let Response::Fault(fault) = sent(code.for_version(1)).response else {
                panic!("{code}");
            };
            assert!(FaultCode::ALL.contains(&fault.code), "{code}");
        }
    }
}
