//! Redis commands per request, counted with `MONITOR`; docs/operations.md has the
//! same figures.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use asset_gateway_backends::conformance::redis_script_names;
use serde_json::{Value, json};

use crate::support::api::{Api, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::fleet::Fleet;
use crate::support::redis::monitor::commands;
use crate::support::redis::server::Server;

/// Requests of each kind.
const TIMES: u64 = 20;

/// The name and the arguments of each command; a script's call has the script's name.
fn named(said: Vec<Vec<Vec<u8>>>) -> Vec<(String, Vec<String>)> {
    let scripts: BTreeMap<_, _> = redis_script_names().into_iter().collect();
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let name = |words: Vec<String>| match (words[0].as_str(), words.get(1)) {
        ("EVALSHA", Some(digest)) => match scripts.get(digest) {
            Some(name) => ((*name).to_owned(), words),
            None => panic!("an unknown script: {words:?}"),
        },
        _ => (words[0].clone(), words),
    };
    let words = said.iter().map(|words| words.iter().map(text).collect());
    words.map(name).collect()
}

/// A row of the table: a kind of request, and the scripts that run for it, each `TIMES` times.
struct Row {
    what: &'static str,
    token: Value,
    ask: fn(&Api, &str) -> reqwest::RequestBuilder,
    calls: &'static [&'static str],
}

fn rows(hook: &str) -> Vec<Row> {
    let get = |api: &Api, token: &str| api.object("GET", token);
    let head = |api: &Api, token: &str| api.object("HEAD", token);
    let put = |api: &Api, token: &str| api.object("PUT", token).body("bytes");
    let row = |what, token, ask, calls| Row {
        what,
        token,
        ask,
        calls,
    };
    vec![
        row(
            "`GET`, no limit",
            json!({"method": "GET"}),
            get,
            &["reserve"],
        ),
        row(
            "`GET`, `max_hits`",
            json!({"method": "GET", "max_hits": 99}),
            get,
            &["reserve"],
        ),
        row(
            "`GET`, `max_hits`, `hit_window`",
            json!({"method": "GET", "max_hits": 99, "hit_window": 60}),
            get,
            &["reserve"],
        ),
        row(
            "`GET`, `max_hits`, `allowed_ips`, `allowed_referers` or `not_before`",
            json!({"method": "GET", "max_hits": 99, "allowed_ips": ["127.0.0.0/8"]}),
            get,
            &["reserve", "reserve"],
        ),
        row(
            "`GET`, `max_hits`, `hit_on: complete`",
            json!({"method": "GET", "max_hits": 99, "hit_on": "complete"}),
            get,
            &["charge", "commit", "reserve"],
        ),
        row(
            "`GET`, `max_hits`, `callback`",
            json!({"method": "GET", "max_hits": 99, "callback": hook}),
            get,
            &["claim", "commit", "finish_claim", "reserve"],
        ),
        row("`HEAD`", json!({"method": "HEAD"}), head, &["get"]),
        row(
            "`PUT`",
            json!({"method": "PUT", "max_hits": 99}),
            put,
            &["commit", "renew", "reserve"],
        ),
        row(
            "`PUT`, `callback`",
            json!({"method": "PUT", "max_hits": 99, "callback": hook}),
            put,
            &["claim", "commit", "finish_claim", "renew", "reserve"],
        ),
    ]
}

/// Only one command for the token's hit precedes the first byte; the table lists all
/// commands of a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cost_the_documented_redis_commands() {
    let fleet = Fleet::start(1);
    fleet.place("k", "bytes");
    let node = &fleet.nodes[0];
    let receiver = CallbackReceiver::start().await;
    let handbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let handbook = std::fs::read_to_string(handbook).unwrap();
    let mut reported = 0;
    for row in rows(&receiver.url()) {
        let mut fields = row.token.clone();
        fields["key"] = json!("k");
        let made = node.create(fields).await.json();
        let [token, id] = ["token", "token_id"].map(|field| made[field].as_str().unwrap());
        let has_callback = row.token.get("callback").is_some();
        // Redis knows the scripts from here on.
        assert_eq!(answer((row.ask)(node, token)).await.status, 200);
        reported += usize::from(has_callback);
        receiver.events(reported).await;
        settled(&fleet.redis, id).await;
        let work = async {
            for _ in 0..TIMES {
                assert_eq!(answer((row.ask)(node, token)).await.status, 200);
            }
            reported += usize::from(has_callback) * TIMES as usize;
            let events = receiver.events(reported).await;
            settled(&fleet.redis, id).await;
            events
        };
        let (events, said) = commands(&fleet.redis, work).await;
        let mut about: Vec<&str> = events
            .iter()
            .map(|event| event["event_id"].as_str().unwrap())
            .collect();
        about.push(id);
        let mut calls = BTreeMap::<String, u64>::new();
        // Polls for events in the token's partition, and in one without events.
        let mut looks = [0, 0];
        let partitions = [&id[..2], if id.starts_with("00") { "01" } else { "00" }];
        let partitions = partitions.map(|partition| format!("ag:{{{partition}}}:"));
        for (name, words) in named(said) {
            for (looks, partition) in looks.iter_mut().zip(&partitions) {
                *looks += u64::from(name == "find_due" && words[3] == *partition);
            }
            let is_about = words.iter().any(|word| about.contains(&word.as_str()));
            // Hits of unlimited tokens are written in batches, twice a second.
            if is_about && name != "add_usage" {
                *calls.entry(name).or_default() += 1;
            }
        }
        let mut expected = BTreeMap::<String, u64>::new();
        for call in row.calls {
            *expected.entry((*call).to_owned()).or_default() += TIMES;
        }
        // Events that are queued together are claimed together.
        if let (Some(taken), Some(most)) = (calls.get("claim"), expected.get_mut("claim")) {
            assert!((1..=*most).contains(taken), "{taken}");
            *most = *taken;
        }
        assert_eq!(calls, expected, "{}", row.what);
        let looks = looks[0].saturating_sub(looks[1]);
        eprintln!("{}: {calls:?}, {looks} looks", row.what);
        let most = u64::from(has_callback) * 2 * TIMES + 1;
        assert!(looks <= most, "{}: {looks} looks", row.what);
        let line = format!("| {} | {} |", row.what, row.calls.len());
        assert!(handbook.contains(&line), "not in the handbook: {line}");
    }
}

/// Waits until no lease and no event is open: commits and callbacks follow the answer.
async fn settled(redis: &Server, id: &str) {
    let partition = format!("ag:{{{}}}:", &id[..2]);
    let open = [
        ["HLEN".into(), format!("{partition}l:{id}")],
        ["HLEN".into(), format!("{partition}e")],
        ["SCARD".into(), format!("{partition}owners")],
    ];
    until("nothing is open", async || {
        open.iter().all(|command: &[String; 2]| {
            let command = command.clone().map(String::into_bytes);
            let mut count = String::new();
            redis.send(&command).read_line(&mut count).unwrap();
            count == ":0\r\n"
        })
    })
    .await;
}

/// Commands of an idle gateway per second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_gateway_sends_few_redis_commands() {
    const LOOK: Duration = Duration::from_secs(10);
    let fleet = Fleet::start(1);
    until("it is ready", async || {
        answer(fleet.nodes[0].plain("GET", "/readyz")).await.status == 200
    })
    .await;
    let (_, said) = commands(&fleet.redis, tokio::time::sleep(LOOK)).await;
    let mut each = BTreeMap::<String, usize>::new();
    for (name, _) in named(said) {
        *each.entry(name).or_default() += 1;
    }
    let all = each.values().sum::<usize>() as f64 / LOOK.as_secs_f64();
    eprintln!("{all} commands a second: in {LOOK:?} {each:?}");
    assert!(all < 300.0, "{all} commands a second: {each:?}");
}
