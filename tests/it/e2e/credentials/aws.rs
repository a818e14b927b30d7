//! Credentials that may change: from a file, and from Amazon's default chain.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{start, works};
use crate::support::api::{answer, until};
use crate::support::s3::S3sServer;

const PROFILES: &str = "[default]\naws_access_key_id = other\naws_secret_access_key = other\n\
    [gateway]\naws_access_key_id = test-access-key\naws_secret_access_key = test-secret-key\n";

#[tokio::test]
async fn credentials_from_a_file() {
    let s3 = S3sServer::start().await;
    let credential = json!({"source": "file", "file": "keys", "profile": "gateway"});
    let gateway = start(&s3, credential, &[], &[("keys", PROFILES)]);
    works(&gateway, &s3).await;

    std::fs::write(
        gateway.folder().join("keys"),
        "[gateway]\ntest-secret-key\n",
    )
    .unwrap();
    until("the broken file is in the log", async || {
        works(&gateway, &s3).await;
        gateway
            .log()
            .contains("the keys of storage cannot be read again; the last ones stay")
    })
    .await;
    works(&gateway, &s3).await;
    assert_eq!(gateway.log().matches("cannot be read again").count(), 1);
}

#[tokio::test]
async fn credentials_from_a_profile_of_the_default_chain() {
    let s3 = S3sServer::start().await;
    let at = [("AWS_SHARED_CREDENTIALS_FILE", "keys")];
    let named = json!({"source": "default_chain", "profile": "gateway"});
    works(&start(&s3, named, &at, &[("keys", PROFILES)]), &s3).await;
    let at = [at[0], ("AWS_PROFILE", "gateway")];
    let unnamed = json!({"source": "default_chain"});
    works(&start(&s3, unnamed, &at, &[("keys", PROFILES)]), &s3).await;
}

/// Serves `router`; returns the base of its URLs.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    base
}

/// The answer of the credential endpoints of containers and instances.
fn keys_for_a_while() -> Json<Value> {
    Json(json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "test-access-key",
        "SecretAccessKey": "test-secret-key",
        "Token": "test-session-token",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    }))
}

/// Checks that the keys are requested once, and that none of `secrets` is logged.
async fn works_through_the_chain(
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
    asked: &AtomicUsize,
    secrets: &[&str],
) {
    let s3 = S3sServer::start().await;
    let gateway = start(&s3, json!({"source": "default_chain"}), variables, files);
    works(&gateway, &s3).await;
    works(&gateway, &s3).await;
    assert_eq!(
        asked.load(Relaxed),
        1,
        "keys are remembered until they expire"
    );
    for secret in secrets.iter().chain(&["test-session-token"]) {
        assert!(
            !gateway.log().contains(secret),
            "{secret} in {}",
            gateway.log()
        );
    }
}

#[tokio::test]
async fn credentials_from_a_container() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let keys = move |headers: HeaderMap| async move {
        assert_eq!(headers["authorization"], "test-authorization");
        count.fetch_add(1, Relaxed);
        keys_for_a_while()
    };
    let base = serve(Router::new().route("/keys", get(keys))).await;
    let variables = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &*format!("{base}/keys"),
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "test-authorization"),
    ];
    works_through_the_chain(&variables, &[], &asked, &["test-authorization"]).await;
}

/// Version 2 of the instance metadata service, which needs a token.
#[tokio::test]
async fn credentials_from_an_instance() {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let has_token = |headers: &HeaderMap| {
        assert_eq!(headers["x-aws-ec2-metadata-token"], "test-metadata-token");
    };
    let keys = move |headers: HeaderMap| async move {
        has_token(&headers);
        count.fetch_add(1, Relaxed);
        keys_for_a_while()
    };
    let role = move |headers: HeaderMap| async move {
        has_token(&headers);
        "gateway-role"
    };
    let token =
        |headers: HeaderMap| async move { ([(TTL, headers[TTL].clone())], "test-metadata-token") };
    let router = Router::new()
        .route("/latest/api/token", put(token))
        .route(ROLES, get(role))
        .route(&format!("{ROLES}gateway-role"), get(keys));
    let base = serve(router).await;
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", base.as_str()),
    ];
    works_through_the_chain(&variables, &[], &asked, &["test-metadata-token"]).await;
}

/// As in Kubernetes: the token service exchanges a token from a file for keys.
#[tokio::test]
async fn credentials_from_a_web_identity() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let assume = move |form: String| async move {
        for part in [
            "Action=AssumeRoleWithWebIdentity",
            "WebIdentityToken=test-identity",
            "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway",
        ] {
            assert!(form.contains(part), "{part} in {form}");
        }
        count.fetch_add(1, Relaxed);
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <AssumeRoleWithWebIdentityResult>\
            <AssumedRoleUser><AssumedRoleId>id:s</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/gateway/s</Arn></AssumedRoleUser>\
            <Credentials><AccessKeyId>test-access-key</AccessKeyId>\
            <SecretAccessKey>test-secret-key</SecretAccessKey>\
            <SessionToken>test-session-token</SessionToken>\
            <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    };
    let base = serve(Router::new().route("/", post(assume))).await;
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "identity"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/gateway"),
        ("AWS_ROLE_SESSION_NAME", "s"),
        ("AWS_ENDPOINT_URL_STS", base.as_str()),
    ];
    let files = [("identity", "test-identity")];
    works_through_the_chain(&variables, &files, &asked, &["test-identity"]).await;
}

#[tokio::test]
async fn a_default_chain_without_credentials_is_a_502() {
    let s3 = S3sServer::start().await;
    let gateway = start(&s3, json!({"source": "default_chain"}), &[], &[]);
    let token = gateway.token("GET", "k").set("bucket", "s3").await;
    let refused = gateway.get(&token).await;
    refused.assert_error(502, "upstream_error");
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
    assert!(
        String::from_utf8_lossy(&ready.body).contains("degraded"),
        "{ready:?}"
    );
}
