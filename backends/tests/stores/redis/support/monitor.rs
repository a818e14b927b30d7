//! The commands that clients send to a Redis (`MONITOR`), and sending them again.

use std::io::BufRead;

use super::server::Server;

type Command = Vec<Vec<u8>>;

/// Does `work` and returns the commands that clients sent meanwhile, without those of scripts.
pub async fn commands<T>(server: &Server, work: impl Future<Output = T>) -> (T, Vec<Command>) {
    let (done, commands) = all_commands(server, work).await;
    let of_clients = commands
        .into_iter()
        .filter(|(from, _)| *from == Sender::Client);
    (done, of_clients.map(|(_, command)| command).collect())
}

#[derive(Clone, Copy, PartialEq)]
pub enum Sender {
    Client,
    Script,
}

/// Does `work` and returns the commands of clients and scripts, in order.
pub async fn all_commands<T>(
    server: &Server,
    work: impl Future<Output = T>,
) -> (T, Vec<(Sender, Command)>) {
    let mut monitor = server.send(&[b"MONITOR".to_vec()]);
    let mut line = String::new();
    monitor.read_line(&mut line).unwrap();
    assert_eq!(line, "+OK\r\n");
    let done = work.await;
    reply(server, &[b"ECHO".to_vec(), b"end".to_vec()]);
    let mut commands = Vec::new();
    loop {
        line.clear();
        monitor.read_line(&mut line).unwrap();
        let (from, quoted) = line.split_once("] ").unwrap();
        let command = args(quoted.trim_end());
        if command[0] == b"ECHO" {
            return (done, commands);
        }
        let sender = match from.ends_with(" lua") {
            true => Sender::Script,
            false => Sender::Client,
        };
        commands.push((sender, command));
    }
}

/// Does `work`, and then runs every script of it once more.
pub async fn twice<T>(server: &Server, work: impl Future<Output = T>) -> T {
    let (done, commands) = commands(server, work).await;
    let scripts: Vec<_> = commands.iter().filter(|c| c[0] == b"EVALSHA").collect();
    let mut again = 0;
    for script in scripts {
        let reply = reply(server, script);
        // A script that a node's background task was about to load.
        if !reply.starts_with("-NOSCRIPT") {
            assert!(!reply.starts_with('-'), "{reply}");
            again += 1;
        }
    }
    assert!(again > 0);
    done
}

fn reply(server: &Server, command: &[Vec<u8>]) -> String {
    let mut line = String::new();
    server.send(command).read_line(&mut line).unwrap();
    line
}

/// Parses quoted arguments, as `MONITOR` writes them.
fn args(quoted: &str) -> Command {
    let mut args = Vec::new();
    let mut rest = quoted.bytes();
    while rest.any(|b| b == b'"') {
        let mut arg = Vec::new();
        while let Some(byte) = rest.next().filter(|b| *b != b'"') {
            arg.push(match byte {
                b'\\' => match rest.next().unwrap() {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'x' => {
                        let digits = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    other => other,
                },
                other => other,
            });
        }
        args.push(arg);
    }
    args
}
