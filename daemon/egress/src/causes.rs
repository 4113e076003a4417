//! An error and what caused it, on one line.
//!
//! Owns the wording of failed connections: daemon and egress relay tell the same failure in the same words.

use std::error::Error;

/// What an error says, and then each of its causes.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let part = error.to_string();
        // Several layers say the same again in front of their own cause, and two say only which layer they are.
        let is_layer = part.starts_with("client error (") || part == "error resolving DNS";
        if !is_layer && !text.ends_with(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// What to do about a certificate that was not believed, by what was said of it.
pub fn advice(told: &str) -> Option<&'static str> {
    let lower = told.to_lowercase();
    if lower.contains("causedasendentity") {
        return Some(
            "the server presents a certificate that is an authority itself (CA:TRUE), which `extra_ca` cannot make good: name an authority there and \
             give the server a certificate that it signed, or make the server's own anew with basicConstraints=CA:FALSE",
        );
    }
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return Some(
            "if the provider's certificate is meant to be like this, name its authority in `extra_ca` of [http]; else do not send it a password",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] io::Error);

    #[test]
    fn causes_follow_what_they_caused_and_nothing_is_said_twice() {
        let refused = || io::Error::from_raw_os_error(111);
        let told = "tcp connect error: Connection refused (os error 111)";
        assert_eq!(causes(&Layer("tcp connect error", refused())), told);
        let again = Layer("Connection refused (os error 111)", refused());
        assert_eq!(causes(&again), "Connection refused (os error 111)");
        let layer = Layer("client error (Connect)", refused());
        assert_eq!(causes(&layer), "Connection refused (os error 111)");
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_is_explained() {
        let told = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        assert!(advice(told).is_some_and(|it| it.contains("CA:FALSE")));
        let told = "invalid peer certificate: UnknownIssuer";
        assert!(advice(told).is_some_and(|it| it.starts_with("if the provider's")));
        assert_eq!(advice("Connection refused (os error 111)"), None);
    }
}
