//! Certificates that failed verification.

/// The advice for a certificate that failed verification, chosen by the error message.
pub fn certificate_advice(message: &str) -> Option<&'static str> {
    let lower = message.to_lowercase();
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
    use super::*;

    #[test]
    fn a_certificate_that_is_its_own_authority_is_explained() {
        let message = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
        assert!(certificate_advice(message).is_some_and(|it| it.contains("CA:FALSE")));
        let message = "invalid peer certificate: UnknownIssuer";
        assert!(certificate_advice(message).is_some_and(|it| it.starts_with("if the provider's")));
        assert_eq!(
            certificate_advice("Connection refused (os error 111)"),
            None
        );
    }
}
