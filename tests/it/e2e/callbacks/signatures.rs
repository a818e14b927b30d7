//! Signatures, verified by the Python library of the specification's authors.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::callback_receiver::{Attempt, CallbackReceiver};
use crate::support::gateway::Gateway;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_VGhpcyBpcyBhIHNlY3JldCBvZiBmb3J0eSBieXRlcyBmb3IgdGVzdHM=";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const VERIFY: &str = r#"
import json, sys
try:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError as error:
    sys.exit(f"standardwebhooks is not there: {error}")
call = json.load(sys.stdin)
try:
    Webhook(call["secret"]).verify(call["body"], call["headers"])
    print("valid")
except WebhookVerificationError as error:
    print(f"invalid: {error}")
"#;

/// The verdict of a receiver with `secret` on an attempt.
fn verify(secret: &str, body: &[u8], one: &Attempt) -> String {
    let headers = one.headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap();
        (name.as_str().to_owned(), json!(value))
    });
    let call = json!({
        "secret": secret,
        "body": std::str::from_utf8(body).unwrap(),
        "headers": headers.collect::<serde_json::Map<String, Value>>(),
    });
    let mut python = Command::new("python3")
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 of ./scripts/test on the PATH");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(call.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "run ./scripts/test once, and put target/test-tools/bin in front on the PATH: {error}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn every_configured_secret_verifies_every_attempt() {
    let receiver = CallbackReceiver::start().await;
    receiver.reply(|number| async move {
        http::StatusCode::from_u16(if number == 1 { 500 } else { 204 }).unwrap()
    });
    let callback = json!({"secret": [NEW, OLD], "retry_seconds": [1, 1]});
    let gateway = Gateway::with(json!({"callback": callback}));
    let fields = json!({"callback": receiver.url(), "metadata": {"name": "报告 \"7\""}});
    let token = gateway.token("PUT", "dir/报告.pdf").with(fields).await;
    assert_eq!(gateway.put(&token, "bytes").await.status, 200);

    let tries = receiver.all(2).await;
    assert_eq!(
        tries[0].headers["webhook-id"],
        tries[1].headers["webhook-id"]
    );
    for one in &tries {
        for secret in [NEW, OLD] {
            assert_eq!(verify(secret, &one.body, one), "valid");
        }
        assert!(verify(OTHER, &one.body, one).starts_with("invalid"));
        let mut body = one.body.to_vec();
        let size = body.windows(8).position(|part| part == b"\"size\":5");
        body[size.unwrap() + 7] = b'6';
        assert!(verify(NEW, &body, one).starts_with("invalid"));

        // The first secret signs first.
        let signatures = one.headers["webhook-signature"].to_str().unwrap();
        let [first, second] = signatures.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{signatures}");
        };
        for (signature, secret, other) in [(first, NEW, OLD), (second, OLD, NEW)] {
            let mut alone = one.clone();
            let value = signature.parse().unwrap();
            alone.headers.insert("webhook-signature", value);
            assert_eq!(verify(secret, &one.body, &alone), "valid");
            assert!(verify(other, &one.body, &alone).starts_with("invalid"));
        }
    }
    for secret in [NEW, OLD] {
        assert!(!gateway.log().contains(secret.trim_start_matches("whsec_")));
    }
}

#[tokio::test]
async fn secrets_come_from_a_file_and_without_them_nothing_is_signed() {
    let receiver = CallbackReceiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(&file, format!("{OLD}\n\n")).unwrap();
    for (callback, signed) in [(json!({"secret_file": file}), true), (json!({}), false)] {
        let gateway = Gateway::with(json!({"callback": callback}));
        let token = gateway.token("PUT", "k").callback(receiver.url()).await;
        let before = receiver.attempts().len();
        assert_eq!(gateway.put(&token, "bytes").await.status, 200);
        let one = receiver.all(before + 1).await.remove(before);
        assert_eq!(one.headers.contains_key("webhook-signature"), signed);
        if signed {
            assert_eq!(verify(OLD, &one.body, &one), "valid");
        }
    }
}
