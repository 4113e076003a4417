//! Providers with certificates, most of which must not be trusted.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::raw::{Raw, reply};

const GOOD: &[u8] = br#"{"access_token":"good","token_type":"bearer","expires_in":3600}"#;

/// Signs certificates.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority that signs certificates.
pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The TLS configuration of a server with a certificate of this name, signed by `authority`.
pub fn server(
    name: &str,
    authority: &Authority,
    change: impl FnOnce(&mut CertificateParams),
) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, authority).unwrap();
    showing(&certificate, &key)
}

/// The TLS configuration of a server whose certificate its own key signed, and that certificate as PEM. With `is_authority` it says
/// CA:TRUE, the default of `openssl req -x509`.
pub fn self_signed(name: &str, is_authority: bool) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = match is_authority {
        true => IsCa::Ca(BasicConstraints::Unconstrained),
        false => IsCa::ExplicitNoCa,
    };
    let certificate = params.self_signed(&key).unwrap();
    (showing(&certificate, &key), certificate.pem())
}

fn showing(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

/// A provider that shows this certificate and gives a token to every client that trusts it.
pub fn provider(
    name: &str,
    authority: &Authority,
    change: impl FnOnce(&mut CertificateParams),
) -> Raw {
    answering(server(name, authority, change))
}

/// A provider with this TLS configuration that gives a token to every client that trusts it.
pub fn answering(config: Arc<ServerConfig>) -> Raw {
    Raw::start(move |talk| {
        use std::io::{Read as _, Write as _};
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
        let mut request = [0; 4096];
        // A request counts only once it came through the handshake.
        if matches!(tls.read(&mut request), Ok(1..)) {
            talk.count();
            drop(tls.write_all(&reply("200 OK", "", GOOD)));
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    })
}

/// A provider with this TLS configuration that reads the request and sends nothing, until the connection ends or at once.
pub fn silent(config: Arc<ServerConfig>, holds: bool) -> Raw {
    Raw::start(move |talk| {
        use std::io::Read as _;
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, talk.stream.try_clone().unwrap());
        let mut request = [0; 4096];
        if matches!(tls.read(&mut request), Ok(1..)) {
            talk.count();
            while holds && matches!(tls.read(&mut request), Ok(1..)) {}
        }
    })
}

/// Providers whose certificate is invalid for a client that trusts `ours`: what is wrong, what the message must say, and the provider.
pub fn unbelieved(ours: &Authority, theirs: &Authority) -> Vec<(&'static str, &'static str, Raw)> {
    vec![
        (
            "expired",
            "xpired",
            provider("localhost", ours, |it| {
                it.not_after = date_time_ymd(2020, 1, 1)
            }),
        ),
        (
            "early",
            "valid",
            provider("localhost", ours, |it| {
                it.not_before = date_time_ymd(4000, 1, 1)
            }),
        ),
        (
            "mismatch",
            "name",
            provider("accounts.example.com", ours, |_| {}),
        ),
        ("unknown", "ssuer", provider("localhost", theirs, |_| {})),
    ]
}
