use std::sync::Arc;

use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use serde_json::json;

use super::*;

const NOW: u64 = 1_760_000_000;

fn buckets() -> Buckets {
    let memory: Arc<dyn ObjectBackend> = Arc::new(MemoryBackend::default());
    Buckets::new([("b".to_owned(), memory)].into())
}

fn checked(body: Value, unknown: UnknownFields) -> Result<Issue, Invalid> {
    let Value::Object(body) = body else {
        panic!("an object")
    };
    check(body, unknown, &buckets(), &TargetPolicy::default(), NOW)
}

fn message(body: Value) -> String {
    checked(body, UnknownFields::Reject).unwrap_err().0
}

#[tokio::test]
async fn defaults_are_those_of_the_contract() {
    let get = json!({"bucket": "b", "key": "k", "method": "GET"});
    let record = checked(get, UnknownFields::Reject).unwrap().record;
    assert_eq!(record.expire_at, NOW + 1800);
    assert_eq!((record.max_hits, record.size), (None, None));
    assert!(record.allow_overwrite);
    let put = json!({"bucket": "b", "key": "k", "method": "PUT"});
    let record = checked(put, UnknownFields::Reject).unwrap().record;
    assert_eq!(record.max_hits, Some(1));
}

#[tokio::test]
async fn an_empty_text_and_null_mean_not_given() {
    let go = json!({
        "token": "", "bucket": "b", "key": "k", "filename": "", "method": "PUT", "expire_at": 0,
        "max_hits": null, "callback": "", "metadata": null,
    });
    let issue = checked(go, UnknownFields::Reject).unwrap();
    assert!(issue.token.is_none());
    assert_eq!(issue.record.expire_at, NOW + 1800);
    assert_eq!(issue.record.max_hits, Some(1));
    assert_eq!(issue.record.callback, None);
}

#[tokio::test]
async fn every_field_is_known() {
    let all = json!({
        "token": "t", "bucket": "b", "key": "k", "filename": "f", "method": "GET",
        "expire_at": NOW + 60, "max_hits": 3, "size": 5, "callback": "https://e.test/x",
        "callback_body": "s=${size}", "callback_body_type": "application/x-www-form-urlencoded",
        "callback_mode": "async",
        "disposition": "inline", "content_type": "image/png", "allow_overwrite": false,
        "not_before": NOW + 1, "allowed_ips": ["10.0.0.0/8", "::1"],
        "allowed_referers": ["https://e.test/"], "delivery": "proxy", "hit_window": 5,
        "hit_on": "start", "metadata": {"a": "b"}, "tags": ["x", "x", "a"],
    });
    let mut given: Vec<_> = all.as_object().unwrap().keys().cloned().collect();
    let mut known: Vec<_> = FIELDS.iter().map(ToString::to_string).collect();
    given.sort();
    known.sort();
    assert_eq!(given, known);
    let record = checked(all, UnknownFields::Reject).unwrap().record;
    assert_eq!(record.tags, ["a", "x"]);
    assert_eq!(record.allowed_ips.len(), 2);
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name_or_ignored() {
    let typo = json!({"bucket": "b", "key": "k", "method": "GET", "max_hit": 1});
    assert!(message(typo.clone()).contains("`max_hit`"));
    assert!(checked(typo, UnknownFields::Ignore).is_ok());
}

#[tokio::test]
async fn fields_of_later_versions_are_refused_as_such() {
    for (field, value) in [("process", json!("*")), ("delivery", json!("redirect"))] {
        let mut body = json!({"bucket": "b", "key": "k", "method": "GET"});
        body[field] = value;
        assert!(
            message(body).contains("not part of this version yet"),
            "{field}"
        );
    }
}

#[tokio::test]
async fn a_refused_value_names_its_field() {
    for (field, value) in [
        ("token", json!("a/b")),
        ("token", json!("x".repeat(129))),
        ("token", json!("..")),
        ("bucket", json!("other")),
        ("key", json!("a/../b")),
        ("key", json!("a/./b")),
        ("key", json!("..")),
        ("key", json!("/a")),
        ("key", json!("a\u{0}b")),
        ("key", json!("x".repeat(1025))),
        ("filename", json!("a\r\nSet-Cookie: x")),
        ("method", json!("POST")),
        ("method", json!("get")),
        ("expire_at", json!(NOW)),
        ("expire_at", json!(-5)),
        ("expire_at", json!("tomorrow")),
        ("max_hits", json!(0)),
        ("max_hits", json!(-2)),
        ("max_hits", json!(1.5)),
        ("size", json!(0)),
        ("size", json!(-7)),
        ("callback", json!("ftp://e.test/")),
        ("callback", json!("/relative")),
        ("callback", json!("http://")),
        ("disposition", json!("other")),
        ("content_type", json!("nonsense")),
        ("content_type", json!("text/plain\r\nX: y")),
        ("not_before", json!(NOW + 9999)),
        ("allowed_ips", json!(["10.0.0.0/99"])),
        ("allowed_ips", json!("10.0.0.0/8")),
        ("allowed_referers", json!(["example.com"])),
        ("hit_window", json!(-1)),
        ("hit_window", json!(86_401)),
        ("hit_on", json!("end")),
        ("metadata", json!({"a": 1})),
        ("metadata", json!({"a": "x".repeat(2048)})),
        ("tags", json!(["a\n"])),
        ("tags", json!(vec!["a"; 11])),
    ] {
        let mut body = json!({"bucket": "b", "key": "k", "method": "GET"});
        body[field] = value.clone();
        let message = message(body);
        assert!(message.starts_with(field), "{field} = {value}: {message}");
    }
}

#[tokio::test]
async fn hit_window_and_hit_on_complete_exclude_each_other() {
    let both = json!({"bucket": "b", "key": "k", "method": "GET", "max_hits": 1,
        "hit_window": 5, "hit_on": "complete"});
    assert!(message(both).contains("hit_window"));
}

#[test]
fn null_in_a_patch_clears_the_field() {
    let Value::Object(body) = json!({"callback": null, "max_hits": null, "metadata": null}) else {
        panic!("an object")
    };
    let patch = check_patch(body, UnknownFields::Reject, &TargetPolicy::default(), NOW).unwrap();
    assert_eq!(patch.expire_at, None);
    assert_eq!(patch.max_hits, Some(None));
    assert_eq!(patch.callback, Some(None));
    assert_eq!(patch.metadata, Some(BTreeMap::new()));
}
