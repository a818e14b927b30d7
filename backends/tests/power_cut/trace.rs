//! Records a process with strace and parses the log into calls.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Prefix of a line on standard error that acknowledges something.
pub const ACKNOWLEDGED: &str = "acknowledged: ";

const CALLS: &str = "?open,openat,openat2,close,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,\
    unlink,unlinkat,write,writev,pwrite64,ftruncate,fallocate,fsync,fdatasync,fsetxattr,\
    fremovexattr,statx,fstat";

/// A successful system call.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: String,
    /// As strace prints them: strings are quoted and hexadecimal.
    pub arguments: Vec<String>,
    pub result: i64,
}

impl Call {
    /// The bytes of a string argument.
    pub fn bytes(&self, index: usize) -> Vec<u8> {
        unquoted(&self.arguments[index])
    }

    pub fn text(&self, index: usize) -> String {
        String::from_utf8(self.bytes(index)).unwrap()
    }

    pub fn number(&self, index: usize) -> i64 {
        let argument = &self.arguments[index];
        argument
            .parse()
            .unwrap_or_else(|_| panic!("`{argument}` of {}", self.name))
    }
}

/// Runs the ignored test `name` of this binary on `folder`, and returns its calls in order.
pub fn record(name: &str, folder: &Path) -> Vec<Call> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-v", "-xx", "-s", "4194304", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .args([
            name,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(super::FOLDER, folder)
        .output()
        .expect("strace: apt-get install strace");
    assert!(
        output.status.success(),
        "strace must be allowed to trace (ptrace): {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&std::fs::read_to_string(log.path()).unwrap())
}

fn parse(log: &str) -> Vec<Call> {
    let acknowledged = quoted(ACKNOWLEDGED.as_bytes());
    let acknowledged = acknowledged.trim_end_matches('"');
    let mut calls = Vec::new();
    let mut unfinished = HashMap::<&str, String>::new();
    for line in log.lines() {
        let Some((process, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            // An acknowledgement counts from its beginning, and another thread may get a handle's
            // number before close returns. Other calls count when they end.
            let is_acknowledgement = begun.starts_with("write(") && begun.contains(acknowledged);
            if is_acknowledgement || begun.starts_with("close(") {
                calls.extend(call(&format!("{}) = 0", begun.trim_end())));
            } else {
                unfinished.insert(process, begun.trim_end().to_owned());
            }
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let Some((_, rest)) = rest.split_once(" resumed>") else {
                continue;
            };
            if let Some(begun) = unfinished.remove(process) {
                calls.extend(call(&format!("{begun}{rest}")));
            }
        } else {
            calls.extend(call(text));
        }
    }
    calls
}

/// Parses a finished call; `None` where it failed.
fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result: i64 = result.split_whitespace().next()?.parse().ok()?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    (result >= 0).then(|| Call {
        name: name.to_owned(),
        arguments: split(arguments),
        result,
    })
}

/// Splits at the commas outside of quotes and brackets.
fn split(arguments: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut in_quotes) = (0, false);
    for c in arguments.chars() {
        match c {
            '"' => in_quotes = !in_quotes,
            '{' | '[' | '(' if !in_quotes => depth += 1,
            '}' | ']' | ')' if !in_quotes => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 && !in_quotes {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn quoted(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{hex}\"")
}

pub fn unquoted(argument: &str) -> Vec<u8> {
    let hex = argument
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_else(|| panic!("no whole string: {argument}"));
    let bytes = hex.split("\\x").skip(1);
    bytes
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}
