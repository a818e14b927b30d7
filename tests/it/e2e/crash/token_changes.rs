//! Tokens that are created, changed and revoked until the process is killed.

use serde_json::{Value, json};

use crate::support::api::{Answer, Api, answer, try_answer};

/// A token whose creation was acknowledged, and the states that it may be in.
pub(super) struct Issued {
    token: String,
    fields: Value,
    /// One note, or two while a change is not acknowledged.
    notes: Vec<u64>,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// The revocation was not acknowledged.
    Unknown,
    Revoked,
}

/// Works until the process is gone; returns every acknowledged token.
pub(super) async fn work(gateway: Api, name: String, progress: impl Fn()) -> Vec<Issued> {
    let mut issued = Vec::new();
    for number in 0.. {
        if step(&gateway, &name, number, &mut issued).await.is_err() {
            break;
        }
        progress();
    }
    issued
}

async fn step(
    gateway: &Api,
    name: &str,
    number: u64,
    issued: &mut Vec<Issued>,
) -> reqwest::Result<()> {
    let expect = |answer: &Answer, status| assert_eq!(answer.status, status, "{answer:?}");
    let method = ["GET", "PUT", "HEAD"][number as usize % 3];
    let fields = json!({
        "method": method,
        "bucket": "local",
        "key": format!("{name}/{number}.bin"),
        "filename": format!("file {number} ü.bin"),
        "max_hits": number + 1,
        "size": 1000 + number,
        "metadata": {"note": "0"},
        "tags": [name],
    });
    let created = try_answer(gateway.control("POST", "/token").json(&fields)).await?;
    expect(&created, 201);
    let mut created = created.json();
    let token = created["token"].as_str().unwrap().to_owned();
    let path = format!("/token/{token}");
    let mut fields = fields;
    fields["expire_at"] = created["expire_at"].take();
    issued.push(Issued {
        token,
        fields,
        notes: vec![0],
        fate: Fate::Kept,
    });
    let index = issued.len() - 1;
    for note in 1..=number % 3 {
        issued[index].notes.push(note);
        let change = json!({"metadata": {"note": note.to_string()}});
        expect(
            &try_answer(gateway.control("PATCH", &path).json(&change)).await?,
            200,
        );
        issued[index].notes = vec![note];
    }
    if number % 4 == 3 {
        issued[index].fate = Fate::Unknown;
        expect(&try_answer(gateway.control("DELETE", &path)).await?, 204);
        issued[index].fate = Fate::Revoked;
    }
    Ok(())
}

/// Every token is in the state in which it was left.
pub(super) async fn check(gateway: &Api, issued: &[Issued]) {
    for one in issued {
        let shown = answer(gateway.control("GET", &format!("/token/{}", one.token))).await;
        let shown = match shown.status {
            404 => None,
            200 => Some(shown.json()),
            _ => panic!("{shown:?}"),
        };
        match (shown, one.fate) {
            (None, Fate::Revoked | Fate::Unknown) => {}
            (Some(shown), Fate::Kept | Fate::Unknown) => one.check(&shown),
            (None, Fate::Kept) => panic!("lost: {}", one.fields),
            (Some(shown), Fate::Revoked) => panic!("revoked and back: {shown}"),
        }
    }
}

impl Issued {
    fn check(&self, shown: &Value) {
        for (name, value) in self.fields.as_object().unwrap() {
            if name == "metadata" {
                let note = shown["metadata"]["note"].as_str().unwrap().parse().unwrap();
                assert!(self.notes.contains(&note), "{note}: {:?}", self.notes);
            } else {
                assert_eq!(&shown[name], value, "{name}");
            }
        }
        assert_eq!(shown["used_hits"], 0);
    }
}
