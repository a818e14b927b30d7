//! Tokens that are made, changed and revoked until the process dies.

use serde_json::{Value, json};

use super::scene::{Answered, Gateway};

/// A token whose creation was acknowledged, and what may be known of it.
pub(super) struct Issued {
    token: String,
    fields: Value,
    /// One, or two while a change was not acknowledged.
    notes: Vec<u64>,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// Revoked, and nobody said that it was done.
    Unknown,
    Revoked,
}

/// Works until the process is gone; returns every token that somebody was handed.
pub(super) async fn work(gateway: Gateway, name: String, progress: impl Fn()) -> Vec<Issued> {
    let mut issued = Vec::new();
    for turn in 0.. {
        if step(&gateway, &name, turn, &mut issued).await.is_err() {
            break;
        }
        progress();
    }
    issued
}

async fn step(gateway: &Gateway, name: &str, turn: u64, issued: &mut Vec<Issued>) -> Answered<()> {
    let method = ["GET", "PUT", "HEAD"][turn as usize % 3];
    let fields = json!({
        "method": method,
        "bucket": "local",
        "key": format!("{name}/{turn}.bin"),
        "filename": format!("file {turn} ü.bin"),
        "max_hits": turn + 1,
        "size": 1000 + turn,
        "metadata": {"note": "0"},
        "tags": [name],
    });
    let mut created = gateway.create(&fields).await?;
    let Value::String(token) = created["token"].take() else {
        panic!("{created}");
    };
    let mut fields = fields;
    fields["expire_at"] = created["expire_at"].take();
    issued.push(Issued {
        token: token.clone(),
        fields,
        notes: vec![0],
        fate: Fate::Kept,
    });
    let index = issued.len() - 1;
    for note in 1..=turn % 3 {
        issued[index].notes.push(note);
        let change = json!({"metadata": {"note": note.to_string()}});
        gateway.patch(&token, &change).await?;
        issued[index].notes = vec![note];
    }
    if turn % 4 == 3 {
        issued[index].fate = Fate::Unknown;
        gateway.revoke(&token).await?;
        issued[index].fate = Fate::Revoked;
    }
    Ok(())
}

/// Every token is as it was left.
pub(super) async fn check(gateway: &Gateway, issued: &[Issued]) {
    for one in issued {
        let shown = gateway.show(&one.token).await.unwrap();
        match (shown, one.fate) {
            (None, Fate::Revoked | Fate::Unknown) => {}
            (Some(shown), Fate::Kept | Fate::Unknown) => one.check(&shown),
            (None, Fate::Kept) => panic!("lost: {}", one.fields),
            (Some(shown), Fate::Revoked) => panic!("revoked and there again: {shown}"),
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
