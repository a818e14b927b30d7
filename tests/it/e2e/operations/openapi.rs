//! `/openapi.json` compared with the router.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::api::answer;
use crate::support::gateway::Gateway;

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"];

async fn document(gateway: &Gateway) -> Value {
    let document = answer(gateway.plain("GET", "/openapi.json")).await;
    assert_eq!(document.status, 200);
    document.json()
}

/// Documented methods by path; GET implies HEAD.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys();
        let methods = methods.map(|method| method.to_ascii_uppercase());
        let mut methods: BTreeSet<_> = methods
            .filter(|method| METHODS.contains(&method.as_str()))
            .collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        (path.clone(), methods)
    });
    operations.collect()
}

#[tokio::test]
async fn documented_routes_and_routes_are_the_same() {
    let gateway = Gateway::start();
    let documented = documented(&document(&gateway).await);
    assert!(documented.len() >= 9, "{documented:?}");
    for (path, methods) in &documented {
        let concrete = path
            .replace("{token}", "some-token")
            .replace("{token_id}", "00112233445566778899aabbccddeeff")
            .replace("{id}", "evt_0");
        assert!(!concrete.contains('{'), "{path}");
        for method in METHODS {
            let got = answer(gateway.control(method, &concrete).json(&json!({}))).await;
            let code = match got.body.is_empty() {
                true => Value::Null,
                false => got.json()["code"].clone(),
            };
            if methods.contains(method) {
                assert_ne!(code, "not_found", "{method} {path}");
                assert_ne!(got.status, 405, "{method} {path}");
            } else {
                assert_eq!(got.status, 405, "{method} {path}");
                let allow = got.header("allow").unwrap().split(',');
                let allow: BTreeSet<_> = allow.map(|method| method.trim().to_owned()).collect();
                assert_eq!(&allow, methods, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_error_code_is_documented() {
    let gateway = Gateway::start();
    let text = document(&gateway).await.to_string();
    for code in [
        "bad_request",
        "bad_digest",
        "unauthorized",
        "forbidden",
        "access_denied",
        "token_not_found",
        "object_not_found",
        "method_not_allowed",
        "request_timeout",
        "token_exists",
        "hits_exceeded",
        "token_expired",
        "precondition_failed",
        "size_exceeded",
        "unsupported_media_type",
        "range_not_satisfiable",
        "rate_limited",
        "internal_error",
        "upstream_error",
        "unavailable",
        "upstream_timeout",
        "callback_failed",
    ] {
        assert!(text.contains(&format!("`{code}`")), "{code}");
    }
}

#[tokio::test]
async fn answers_have_the_fields_of_their_schemas() {
    let gateway = Gateway::start();
    let document = document(&gateway).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let properties = |name: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "{name}");
        let parts = schema["allOf"].as_array().cloned().unwrap_or_default();
        for part in parts.into_iter().chain([schema.clone()]) {
            let part = match part["$ref"].as_str() {
                Some(name) => {
                    let name = name.rsplit('/').next().unwrap();
                    document["components"]["schemas"][name].clone()
                }
                None => part,
            };
            found.extend(
                part["properties"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone()),
            );
        }
        found
    };
    let fields = |answer: &Value| -> BTreeSet<String> {
        answer.as_object().unwrap().keys().cloned().collect()
    };
    let full = json!({"key": "k", "method": "PUT", "disposition": "inline",
        "content_type": "text/plain", "not_before": 5, "allowed_ips": ["::/0", "0.0.0.0/0"],
        "allowed_referers": [], "hit_window": 5, "metadata": {"a": "b"}, "tags": ["t"],
        "callback": "http://localhost/", "callback_body": "${size}"});
    let created = gateway.create(full).await.json();
    assert_eq!(fields(&created), properties("CreatedToken"));
    let token = created["token"].as_str().unwrap();
    let put = gateway
        .object("PUT", token)
        .header("content-type", "text/plain")
        .body("x");
    let uploaded = answer(put).await.json();
    assert_eq!(fields(&uploaded), properties("Uploaded"));
    let mut record = properties("Token");
    record.remove("allowed_referers");
    assert_eq!(fields(&gateway.record(token).await), record);
    let mut status = properties("TokenStatus");
    status.remove("allowed_referers");
    assert_eq!(fields(&gateway.status(token).await), status);
    let error = gateway.get("unknown").await.json();
    assert_eq!(fields(&error), properties("Error"));
    let known: BTreeSet<_> = properties("NewToken");
    let missing = gateway.create(json!({"unknown": 1})).await.json()["message"].to_string();
    assert!(
        known.iter().all(|field| missing.contains(field)),
        "{missing}"
    );
}

#[tokio::test]
async fn documented_bounds_hold() {
    let gateway = Gateway::start();
    let document = document(&gateway).await;
    let parameter = |path: &str, method: &str, name: &str| {
        let all = document["paths"][path][method]["parameters"].as_array();
        let found = all.unwrap().iter().find(|one| one["name"] == name);
        found.unwrap()["schema"].clone()
    };
    for path in ["/tokens", "/callbacks"] {
        let limit = parameter(path, "get", "limit");
        assert_eq!(
            (&limit["minimum"], &limit["maximum"]),
            (&json!(1), &json!(1000))
        );
        for (limit, status) in [(0, 400), (1, 200), (1000, 200), (1001, 400)] {
            let page = answer(gateway.control("GET", &format!("{path}?limit={limit}"))).await;
            assert_eq!(page.status, status, "{path} {limit}");
        }
    }
    assert_eq!(
        parameter("/callbacks/replay", "post", "since")["minimum"],
        0
    );
    for name in ["bucket", "prefix", "tag"] {
        assert_eq!(
            parameter("/tokens", "delete", name)["minLength"],
            1,
            "{name}"
        );
    }
    assert_eq!(
        parameter("/tokens", "delete", "all")["enum"],
        json!(["true"])
    );

    let schemas = &document["components"]["schemas"];
    let new = &schemas["NewToken"];
    assert_eq!(new["required"], json!(["bucket", "key", "method"]));
    assert_eq!(new["additionalProperties"], false);
    for schema in ["NewToken", "TokenPatch"] {
        let hits = &schemas[schema]["properties"]["max_hits"];
        assert_eq!(
            (&hits["minimum"], &hits["not"]),
            (&json!(-1), &json!({"const": 0}))
        );
        assert_eq!(hits["type"], json!(["integer", "null"]), "{schema}");
    }
    for required in ["bucket", "key", "method"] {
        assert_eq!(new["properties"][required]["type"], "string", "{required}");
    }
    let batch = &schemas["NewTokens"]["properties"]["tokens"];
    assert_eq!(
        (&batch["minItems"], &batch["maxItems"]),
        (&json!(1), &json!(1000))
    );
    for (field, most) in [
        ("token", 128),
        ("filename", 1024),
        ("content_type", 255),
        ("callback", 4096),
    ] {
        assert_eq!(new["properties"][field]["maxLength"], most, "{field}");
        let long = json!({"key": "k", "method": "GET", field: "x".repeat(most + 1)});
        gateway
            .create(long)
            .await
            .assert_error(400, "bad_request")
            .says(field);
    }
    // Beyond 64 bits.
    for since in ["18446744073709551616", "1000000000000000000000000"] {
        let replay = gateway.control("POST", &format!("/callbacks/replay?since={since}"));
        answer(replay).await.assert_error(400, "bad_request");
    }
    // Only strings may be empty.
    for field in [
        "expire_at",
        "max_hits",
        "size",
        "not_before",
        "allowed_ips",
        "tags",
        "metadata",
    ] {
        let forgotten = json!({"key": "k", "method": "GET", field: ""});
        let refused = gateway.create(forgotten).await;
        refused.assert_error(400, "bad_request").says(field);
    }
}
