//! A proxy in front of a Redis that can hold up each command of a client.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use asset_gateway_backends::open::Stores;
use asset_gateway_backends::settings::QueueLimits;

use super::server::{self, Server};

pub type Command = Vec<Vec<u8>>;

/// A node behind the proxy. `before` gets each command, and the server gets it when `before` returns.
pub fn node(
    server: &Server,
    limits: QueueLimits,
    before: impl Fn(&Command) + Send + Sync + 'static,
) -> Stores {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let port = server.port();
    let before = Arc::new(before);
    thread::spawn(move || {
        for client in proxy.incoming() {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                continue;
            };
            let replies = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || forward(replies.0, replies.1));
            let before = Arc::clone(&before);
            thread::spawn(move || forward_commands(client, server, &*before));
        }
    });
    server::node(server::settings(&address), limits)
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    // Either side may close.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn forward_commands(client: TcpStream, mut server: TcpStream, before: &dyn Fn(&Command)) {
    let mut client = BufReader::new(client);
    while let Some((command, bytes)) = read_command(&mut client) {
        before(&command);
        if server.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// A command, and its bytes as they were sent.
fn read_command(client: &mut impl BufRead) -> Option<(Command, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut command = Vec::new();
    for _ in 0..number(client, &mut bytes)? {
        let length = number(client, &mut bytes)?;
        let mut arg = vec![0; length + 2];
        client.read_exact(&mut arg).ok()?;
        bytes.extend(&arg);
        arg.truncate(length);
        command.push(arg);
    }
    Some((command, bytes))
}

/// The number in a line such as `*3` or `$5`.
fn number(client: &mut impl BufRead, bytes: &mut Vec<u8>) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).ok()?;
    bytes.extend(line.as_bytes());
    line.get(1..)?.trim_end().parse().ok()
}
