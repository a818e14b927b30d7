//! A way to a Redis on which each command of a client can be held up.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};

use super::server::{Server, settings};

pub type Words = Vec<Vec<u8>>;

/// A node behind a gate: `before` sees each command before the server does, which waits meanwhile.
pub fn node(
    server: &Server,
    limits: QueueLimits,
    before: impl Fn(&Words) + Send + Sync + 'static,
) -> Stores {
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let settings = settings(&gate.local_addr().unwrap().to_string());
    let port = server.port();
    let before = Arc::new(before);
    thread::spawn(move || {
        for client in gate.incoming() {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                continue;
            };
            let answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass_on(answers.0, answers.1));
            let before = Arc::clone(&before);
            thread::spawn(move || commands(client, server, &*before));
        }
    });
    let settings = TokenStoreSettings::Redis(settings);
    open_stores(&settings, limits, Arc::new(SystemClock)).unwrap()
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // Either may go away.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn commands(client: TcpStream, mut server: TcpStream, before: &dyn Fn(&Words)) {
    let mut client = BufReader::new(client);
    while let Some((words, bytes)) = command(&mut client) {
        before(&words);
        if server.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// A list of texts, and how it was sent.
fn command(client: &mut impl BufRead) -> Option<(Words, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut words = Vec::new();
    for _ in 0..number(client, &mut bytes)? {
        let length = number(client, &mut bytes)?;
        let mut word = vec![0; length + 2];
        client.read_exact(&mut word).ok()?;
        bytes.extend(&word);
        word.truncate(length);
        words.push(word);
    }
    Some((words, bytes))
}

/// Of a line such as `*3` or `$5`.
fn number(client: &mut impl BufRead, bytes: &mut Vec<u8>) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).ok()?;
    bytes.extend(line.as_bytes());
    line.get(1..)?.trim_end().parse().ok()
}
