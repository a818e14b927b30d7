//! What clients say to a Redis, and saying it again.

use std::io::BufRead;

use super::server::Server;

type Command = Vec<Vec<u8>>;

/// Does `work` and returns the commands that clients sent meanwhile, those of scripts left out.
pub async fn commands<T>(server: &Server, work: impl Future<Output = T>) -> (T, Vec<Command>) {
    let mut monitor = server.send(&[b"MONITOR".to_vec()]);
    let mut line = String::new();
    monitor.read_line(&mut line).unwrap();
    assert_eq!(line, "+OK\r\n");
    let done = work.await;
    answer(server, &[b"ECHO".to_vec(), b"that was all".to_vec()]);
    let mut commands = Vec::new();
    loop {
        line.clear();
        monitor.read_line(&mut line).unwrap();
        let (from, said) = line.split_once("] ").unwrap();
        let command = words(said.trim_end());
        if command[0] == b"ECHO" {
            return (done, commands);
        }
        if !from.ends_with(" lua") {
            commands.push(command);
        }
    }
}

/// Does `work`, and has Redis run every script of it once more.
pub async fn twice<T>(server: &Server, work: impl Future<Output = T>) -> T {
    let (done, commands) = commands(server, work).await;
    let scripts: Vec<_> = commands.iter().filter(|c| c[0] == b"EVALSHA").collect();
    let mut again = 0;
    for script in scripts {
        let answer = answer(server, script);
        // One that a node's housekeeping asks for at this very moment, and Redis does not have yet.
        if !answer.starts_with("-NOSCRIPT") {
            assert!(!answer.starts_with('-'), "{answer}");
            again += 1;
        }
    }
    assert!(again > 0);
    done
}

fn answer(server: &Server, command: &[Vec<u8>]) -> String {
    let mut line = String::new();
    server.send(command).read_line(&mut line).unwrap();
    line
}

/// Words in quotes, as `MONITOR` writes them.
fn words(said: &str) -> Command {
    let mut words = Vec::new();
    let mut rest = said.bytes();
    while rest.any(|b| b == b'"') {
        let mut word = Vec::new();
        while let Some(byte) = rest.next().filter(|b| *b != b'"') {
            word.push(match byte {
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
        words.push(word);
    }
    words
}
