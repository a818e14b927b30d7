//! Adds constraints to the OpenAPI document that Rust types cannot express: bounds, patterns, rules.
//!
//! The constraints are JSON Schema 2020-12 (OpenAPI 3.1). Lengths are characters there, and bytes in the
//! gateway's checks: text beyond ASCII reaches the limit earlier.

use serde_json::{Map, Value, json};

/// No control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// No leading slash, no segment `.` or `..`, no control characters.
const KEY: &str =
    r"^(?!/)(?!\.{1,2}(/|$))(?![^\u0000]*/\.{1,2}(/|$))[^\u0000-\u001f\u007f-\u009f]+$";
const EVENT: &str = "^evt_[0-9a-f]{32}$";
const TOKEN: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._~-]*$";
const HTTP_URL: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\u0000-\u001f\u007f-\u009f]+$";
const HTTP_URL_OR_EMPTY: &str = r"^([Hh][Tt][Tt][Pp][Ss]?://[^\u0000-\u001f\u007f-\u009f]+)?$";

pub fn add(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    let new = &mut schemas["NewToken"];
    narrow(new, new_token());
    new["additionalProperties"] = json!(false);
    new["allOf"] = new_token_rules();
    let patch = &mut schemas["TokenPatch"];
    narrow(patch, token_patch());
    patch["additionalProperties"] = json!(false);
    let batch = &mut schemas["NewTokens"];
    narrow(batch, json!({"tokens": {"minItems": 1, "maxItems": 1000}}));
    batch["additionalProperties"] = json!(false);

    let paths = document["paths"].as_object_mut();
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let parameters = operation.get_mut("parameters");
            let parameters = parameters.and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                narrow_parameter(path, parameter, method != "get");
            }
        }
    }
}

/// Properties of `NewToken`. `""` (for texts) and `null` mean that a field is not given.
fn new_token() -> Value {
    json!({
        "token": {"maxLength": 128, "pattern": TOKEN},
        "bucket": {"type": "string", "minLength": 1},
        "key": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": KEY},
        "filename": {"maxLength": 1024, "pattern": PLAIN},
        "method": {"type": "string", "enum": ["GET", "HEAD", "PUT"]},
        "expire_at": {"minimum": 0},
        "max_hits": count(),
        "size": count(),
        "callback": {"maxLength": 4096, "pattern": HTTP_URL_OR_EMPTY},
        "callback_body_type": one_of(&["application/x-www-form-urlencoded", "application/json"]),
        "callback_mode": one_of(&["async", "sync"]),
        "disposition": one_of(&["attachment", "inline"]),
        "content_type": {"maxLength": 255},
        "not_before": {"minimum": 0},
        "allowed_ips": {"maxItems": 100},
        "allowed_referers": {"maxItems": 100, "items":
            {"type": "string", "maxLength": 1024, "pattern": HTTP_URL}},
        "delivery": one_of(&["proxy"]),
        "hit_window": {"minimum": 0, "maximum": 86_400},
        "hit_on": one_of(&["start", "complete"]),
        "metadata": {"additionalProperties": {"type": "string", "maxLength": 2048}},
        "tags": {"maxItems": 10, "items":
            {"type": "string", "minLength": 1, "maxLength": 128, "pattern": PLAIN}},
    })
}

/// Rules between fields of `NewToken`.
fn new_token_rules() -> Value {
    let given = |field: &str| json!({"required": [field], "properties": {field: {"type": "string", "minLength": 1}}});
    let needs = |field: &str, other: &str| json!({"if": given(field), "then": given(other)});
    json!([
        needs("callback_body", "callback"),
        needs("callback_mode", "callback"),
        needs("callback_body_type", "callback_body"),
        {
            "if": {"required": ["callback_mode"], "properties": {"callback_mode": {"const": "sync"}}},
            "then": {"properties": {"method": {"const": "PUT"}}},
        },
        {
            "if": {"required": ["hit_on"], "properties": {"hit_on": {"const": "complete"}}},
            "then": {"properties": {"hit_window": {"enum": [0, null]}}},
        },
    ])
}

fn token_patch() -> Value {
    let all = new_token();
    let same = |field: &str| (field.to_owned(), all[field].clone());
    ["expire_at", "max_hits", "callback", "metadata"]
        .map(same)
        .into_iter()
        .collect::<Map<_, _>>()
        .into()
}

/// -1, or at least 1.
fn count() -> Value {
    json!({"minimum": -1, "not": {"const": 0}})
}

fn one_of(words: &[&str]) -> Value {
    let mut allowed: Vec<Value> = words.iter().map(|word| json!(word)).collect();
    allowed.extend([json!(""), Value::Null]);
    json!({"enum": allowed})
}

/// Adds to the schemas of an object's properties.
fn narrow(schema: &mut Value, bounds: Value) {
    let Value::Object(bounds) = bounds else {
        return;
    };
    for (property, bounds) in bounds {
        let narrowed = schema["properties"].get_mut(property);
        if let (Some(Value::Object(schema)), Value::Object(bounds)) = (narrowed, bounds) {
            schema.extend(bounds);
        }
    }
}

/// Narrows a parameter by its name: except `state`, a name means the same in every call. In calls that
/// change something (`changes`) parameters are not empty; in others `""` means not given.
fn narrow_parameter(path: &str, parameter: &mut Value, changes: bool) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let schema = &mut parameter["schema"];
    match name.as_str() {
        "token" => *schema = json!({"type": "string", "pattern": r"^[A-Za-z0-9._~-]{1,128}$"}),
        "token_id" => *schema = json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
        "id" => *schema = json!({"type": "string", "pattern": EVENT}),
        "state" if path == "/callbacks" => {
            *schema = json!({"type": "string", "enum": ["pending", "dead", ""], "default": "dead"});
        }
        "state" => {
            *schema = json!({"type": "string", "enum": ["active", "expired", "exhausted", ""]});
        }
        "limit" => {
            *schema = json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100})
        }
        "since" => *schema = json!({"type": "integer", "format": "int64", "minimum": 0}),
        "all" => *schema = json!({"type": "string", "enum": ["true"]}),
        "method" => *schema = json!({"type": "string", "enum": ["GET", "HEAD", "PUT", ""]}),
        "bucket" | "prefix" | "tag" | "cursor" => {
            *schema = json!({"type": "string"});
            if changes {
                schema["minLength"] = json!(1);
            }
        }
        _ => {}
    }
}
