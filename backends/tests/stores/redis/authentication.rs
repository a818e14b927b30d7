//! Passwords, users and TLS.

use std::path::Path;
use std::sync::Arc;

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, id};
use asset_gateway_backends::error::Result;
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{RedisSettings, Secret, TokenStoreSettings};
use asset_gateway_backends::token_store::{Access, Method};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::support::server::{Server, fixture, free_port, node};

/// The rights of docs/operations.md.
const RIGHTS: &str = "~ag:* +@hash +@sortedset +@set +@string +@keyspace +@scripting +@connection \
                      +time +wait +cluster|slots -@dangerous +role +info";

/// A download through a store with these settings.
async fn use_store(settings: RedisSettings) -> Result<()> {
    // A process can install only one; all tests install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let f = fixture(node(settings, DEFAULT_LIMITS));
    f.stores.tokens.ping().await?;
    let mut record = f.reported(Method::Get, 9);
    record.tags = vec!["a".into()];
    f.create(id(1), record).await;
    let hit = f.admit(id(1), Access::Get).await;
    let report = asset_gateway_backends::conformance::fixture::report(
        asset_gateway_backends::event::Outcome::Complete,
    );
    f.stores.tokens.commit(hit, report).await.unwrap();
    assert_eq!(f.take_events().await.len(), 1);
    f.stores
        .tokens
        .sweep(std::time::Duration::from_secs(1))
        .await
        .unwrap();
    f.stores.tokens.flush_usage().await.unwrap();
    let all = f
        .stores
        .tokens
        .list(&Default::default(), 9, None)
        .await
        .unwrap();
    assert_eq!(all.unwrap().tokens.len(), 1);
    assert!(f.stores.tokens.delete(id(1)).await.unwrap());
    f.stores.tokens.close().await
}

fn with_password(server: &Server, username: &str, password: &str) -> RedisSettings {
    RedisSettings {
        username: username.into(),
        password: Secret::new(password),
        ..server.settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_required() {
    let server = Server::start();
    server.cli(&["CONFIG", "SET", "requirepass", "geheim"]);
    use_store(with_password(&server, "", "geheim"))
        .await
        .unwrap();
    for (settings, what) in [
        (server.settings(), "no password"),
        (with_password(&server, "", "falsch"), "a wrong password"),
        (with_password(&server, "wer", "geheim"), "an unknown user"),
    ] {
        let error = use_store(settings).await.expect_err(what);
        assert_eq!(error.kind, ErrorKind::Unavailable, "{what}: {error}");
        assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_are_enough() {
    let server = Server::start();
    let mut user = vec!["ACL", "SETUSER", "gateway", "reset", "on", ">geheim"];
    user.extend(RIGHTS.split_whitespace());
    assert_eq!(server.cli(&user), "OK\n");
    server.cli(&["ACL", "SETUSER", "default", "off"]);
    use_store(with_password(&server, "gateway", "geheim"))
        .await
        .unwrap();
}

/// In PEM: an authority, and a certificate that it has signed, with its key.
struct Certificates {
    ca: String,
    cert: String,
    key: String,
}

impl Certificates {
    fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "authority");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &ca);
        Self {
            ca: ca.pem(),
            cert: cert.unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server with these certificates, and its TLS port.
    fn serve(&self, folder: &Path, ask_clients: bool) -> (Server, u16) {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let port = free_port();
        let server = Server::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-ca-cert-file",
            &file("ca.pem", &self.ca),
            "--tls-cert-file",
            &file("cert.pem", &self.cert),
            "--tls-key-file",
            &file("key.pem", &self.key),
            "--tls-auth-clients",
            if ask_clients { "yes" } else { "no" },
        ]);
        (server, port)
    }
}

fn over_tls(port: u16, ca: &str) -> RedisSettings {
    RedisSettings {
        addresses: vec![format!("127.0.0.1:{port}")],
        tls: true,
        tls_ca: ca.to_owned(),
        ..RedisSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_only_the_configured_authority() {
    let (folder, certificates) = (tempfile::tempdir().unwrap(), Certificates::new());
    let (_server, port) = certificates.serve(folder.path(), false);
    use_store(over_tls(port, &certificates.ca)).await.unwrap();
    // Neither the machine's authorities nor another one are trusted.
    for ca in [String::new(), Certificates::new().ca] {
        let error = use_store(over_tls(port, &ca))
            .await
            .expect_err("not trusted");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_presents_a_client_certificate() {
    let (folder, certificates) = (tempfile::tempdir().unwrap(), Certificates::new());
    let (_server, port) = certificates.serve(folder.path(), true);
    let with_certificate = RedisSettings {
        tls_cert: certificates.cert.clone(),
        tls_key: Secret::new(certificates.key.clone()),
        ..over_tls(port, &certificates.ca)
    };
    use_store(with_certificate).await.unwrap();
    let without = over_tls(port, &certificates.ca);
    use_store(without)
        .await
        .expect_err("the server requires a certificate");
}

#[tokio::test]
async fn a_malformed_certificate_is_refused_at_the_start() {
    let malformed = over_tls(
        1,
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    );
    let settings = TokenStoreSettings::Redis(malformed);
    let error = open_stores(&settings, DEFAULT_LIMITS, Arc::new(SystemClock));
    let error = error.err().expect("refused").to_string();
    assert!(error.contains("PEM"), "{error}");
}
