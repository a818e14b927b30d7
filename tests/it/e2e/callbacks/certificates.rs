//! Receivers with a wrong certificate: nothing is sent to them, and the callback is retried.

use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::dead_letters::rows;
use super::receivers::{errors, outcome, upload};
use crate::support::api::{install_crypto, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut own = CertificateParams::default();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(own, KeyPair::generate().unwrap()).unwrap())
    }

    fn certify(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.0).unwrap();
        server(certificate.der(), key)
    }
}

fn self_signed(name: &str) -> Arc<ServerConfig> {
    let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    server(own.cert.der(), own.signing_key)
}

fn server(certificate: &CertificateDer<'static>, key: KeyPair) -> Arc<ServerConfig> {
    install_crypto();
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key.into());
    Arc::new(server.unwrap())
}

/// Starts TLS in front of `receiver`, with the certificate that is `shown` at that time; returns the port.
async fn terminate_tls(receiver: &CallbackReceiver, shown: Arc<Mutex<Arc<ServerConfig>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = receiver.address;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(shown.lock().clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    port
}

/// Two attempts fail on a certificate; the next one finds a valid one.
async fn refuses(shown: impl FnOnce(&Authority) -> Arc<ServerConfig>) {
    let authority = Authority::new();
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&trusted, authority.0.pem()).unwrap();
    let gateway = Gateway::builder()
        .with(json!({"callback": {"retry_seconds": vec![1; 8]}}))
        .variable("SSL_CERT_FILE", trusted.path().to_str().unwrap())
        .start();
    let receiver = CallbackReceiver::start().await;
    let shown = Arc::new(Mutex::new(shown(&authority)));
    let port = terminate_tls(&receiver, Arc::clone(&shown)).await;
    upload(&gateway, format!("https://localhost:{port}/hook")).await;
    until("two attempts", async || errors(&gateway).len() >= 2).await;
    assert!(errors(&gateway).iter().all(|error| error == "tls"));
    let row = rows(&gateway, "state=pending").await.remove(0);
    assert_eq!(row["last_error"], "tls", "{row}");
    assert!(receiver.attempts().is_empty());

    *shown.lock() = authority.certify("localhost");
    receiver.all(1).await;
    outcome(&gateway, "delivered", 1).await;
}

#[tokio::test]
async fn a_receiver_with_an_untrusted_certificate_is_retried() {
    refuses(|_| self_signed("localhost")).await;
}

#[tokio::test]
async fn a_receiver_with_another_names_certificate_is_retried() {
    refuses(|authority| authority.certify("receiver.example.com")).await;
}
