//! What holds for every script is read from its text.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use super::{Scripts, keys};

/// Name and text of each file in the folders of scripts. The text has no strings and no comments.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redis/scripts");
    let folders = ["store", "queue", "maintenance", "offline"];
    let files = folders.map(|name| std::fs::read_dir(folder.join(name)).unwrap());
    files
        .into_iter()
        .flatten()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, code(&std::fs::read_to_string(path).unwrap()))
        })
        .collect()
}

/// `text` without strings and comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.split("--").next().unwrap_or_default();
        let outside_of_strings: String = line.split('\'').step_by(2).collect();
        outside_of_strings + "\n"
    });
    lines.collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Only `call` in `common.lua` reaches Redis, and it puts the partition before each key. So all keys of a script
/// share the hash tag of its only key.
#[test]
fn keys_of_a_script_lie_in_one_slot() {
    let common = code(include_str!("common.lua"));
    assert_eq!(common.matches("redis.").count(), 2, "{common}");
    assert!(common.contains("return redis.call(command, PARTITION .. key, ...)"));
    assert!(common.contains("local time = redis.call()"));
    assert!(common.starts_with("\n"), "no code before the comment");
    let partitions = ["local PARTITION = KEYS[1]", "PARTITION .. key"];
    assert!(partitions.iter().all(|part| common.contains(part)));
    assert_eq!(common.matches("PARTITION").count(), 2);
    assert_eq!(common.matches("KEYS").count(), 1);
    for (name, code) in files() {
        for word in ["redis", "KEYS", "PARTITION", "_G", "loadstring", "getfenv"] {
            assert!(!words(&code).any(|found| found == word), "{name}: {word}");
        }
    }
    for partition in keys::all_partitions() {
        // Redis Cluster specification: the hash tag is what stands between the first `{` and the next `}`.
        let prefix = keys::prefix(partition);
        let tag = prefix
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        assert_eq!(tag.unwrap().0, keys::hash_tag(partition));
    }
}

#[test]
fn each_file_is_a_script_and_names_only_known_constants() {
    let scripts = Scripts::new().names();
    let known: BTreeSet<_> = keys::lua_constants()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let files = files();
    assert_eq!(files.len(), scripts.len());
    for (name, code) in files {
        assert!(scripts.iter().any(|(_, script)| *script == name), "{name}");
        let shouted = words(&code).filter(|word| word.len() > 1 && *word == word.to_uppercase());
        for word in shouted.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
            assert!(word == "ARGV" || known.contains(word), "{name}: {word}");
        }
    }
}
