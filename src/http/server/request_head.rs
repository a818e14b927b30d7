//! Parses an HTTP/1 head for the smuggling guard: Host, Content-Length, Transfer-Encoding.

use http::uri::Authority;

use crate::media_type::is_token_byte;

const MAX_ORIGIN_BYTES: usize = 512;

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// The lines of a head that were read so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    is_http_1_0: bool,
    /// The host of a target in absolute form (RFC 9112 §3.2.2).
    target_host: Option<Vec<u8>>,
    host: bool,
    content_length: Option<u64>,
    chunked: bool,
    origin: Option<Vec<u8>>,
}

impl Head {
    /// Reads a request line: method, target and version, one space between them.
    pub(super) fn begun(line: &[u8]) -> Result<Self, &'static str> {
        const WRONG: &str =
            "the request line is not a method, a target and HTTP/1.1 with one space between them";
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(WRONG);
        };
        let is_http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(WRONG),
        };
        let has_control = target.iter().any(u8::is_ascii_control);
        if method.is_empty() || !method.iter().all(|byte| is_token_byte(*byte)) || has_control {
            return Err(WRONG);
        }
        Ok(Self {
            is_http_1_0,
            target_host: host_of(target).map(<[u8]>::to_vec),
            ..Self::default()
        })
    }

    /// Reads a header's line.
    pub(super) fn field(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let (name, value) = name_and_value(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            self.take_host(value)
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.take_content_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.take_transfer_encoding(value)
        } else {
            self.take_origin(name, value);
            Ok(())
        }
    }

    fn take_host(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if std::mem::replace(&mut self.host, true) {
            return Err("there is more than one Host");
        }
        // RFC 9110 §7.2: a host and an optional port, no user.
        if value.contains(&b'@') || Authority::try_from(value).is_err() {
            return Err("the Host is not a host");
        }
        match &self.target_host {
            Some(target) if !target.eq_ignore_ascii_case(value) => {
                Err("the Host is not that of the target")
            }
            Some(_) | None => Ok(()),
        }
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.content_length.is_some() {
            return Err("there is more than one Content-Length");
        }
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| is_number);
        let length = length.and_then(|length| length.parse().ok());
        self.content_length = Some(length.ok_or("the Content-Length is not a number")?);
        Ok(())
    }

    /// Accepts `chunked` alone: no other coding is supported (RFC 9112 §6.1), and a body whose last coding
    /// is another has no known length (§6.3).
    fn take_transfer_encoding(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if std::mem::replace(&mut self.chunked, true) {
            return Err("there is more than one Transfer-Encoding");
        }
        if self.is_http_1_0 {
            return Err("HTTP/1.0 has no Transfer-Encoding");
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err("the Transfer-Encoding is not `chunked` alone");
        }
        Ok(())
    }

    fn take_origin(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"origin") && value.len() <= MAX_ORIGIN_BYTES {
            self.origin = Some(value.to_vec());
        }
    }

    /// What follows the head; called at its end.
    pub(super) fn framing(&self) -> Result<Framing, &'static str> {
        if !self.host && !self.is_http_1_0 {
            return Err("there is no Host");
        }
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err("there is a Content-Length beside Transfer-Encoding"),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    pub(super) fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    /// Finds the `Origin` in the rest of a head that was refused.
    pub(super) fn look_for_origin(&mut self, rest: &[u8]) {
        let lines = rest.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Ok((name, value)) = name_and_value(line) {
                self.take_origin(name, value);
            }
        }
    }
}

/// Splits a header's line, and trims blanks around the value (RFC 9112 §5). Folded lines and blanks before
/// the colon are refused.
pub(super) fn name_and_value(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err("a header's line begins with a blank");
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or("a header's line has no colon")?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
        return Err("a header's name has a character that names do not have");
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if line[colon + 1..].iter().any(is_control) {
        return Err("a header's value has a control character in it");
    }
    Ok((name, value))
}

/// The authority of a target in absolute form.
fn host_of(target: &[u8]) -> Option<&[u8]> {
    let scheme = target.windows(3).position(|window| window == b"://")?;
    if target[..scheme].contains(&b'/') {
        return None;
    }
    let rest = &target[scheme + 3..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    Some(&rest[..end.unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(line: &str, fields: &[&str]) -> Result<Framing, &'static str> {
        let mut head = Head::begun(line.as_bytes())?;
        for field in fields {
            head.field(field.as_bytes())?;
        }
        head.framing()
    }

    #[test]
    fn a_head_decides_what_follows_it() {
        const GET: &str = "GET /a HTTP/1.1";
        for (fields, framing_of) in [
            (&["Host: a"][..], Framing::Length(0)),
            (&["host:a:80", "CONTENT-LENGTH:\t7 "], Framing::Length(7)),
            (
                &["Host: [::1]", "Transfer-Encoding: Chunked"],
                Framing::Chunked,
            ),
            (
                &["Host: a", "X-Transfer-Encoding: gzip"],
                Framing::Length(0),
            ),
        ] {
            assert_eq!(framing(GET, fields), Ok(framing_of), "{fields:?}");
        }
        for fields in [
            &[][..],
            &["Host: a", "host: a"],
            &["Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"],
            &["Host: a", "Transfer-Encoding: chunked", "Content-Length: 1"],
            &["Host: a", "Content-Length: 1", "Content-Length: 1"],
            &["Host: a", "Content-Length: 99999999999999999999"],
            &["Host: a", "Transfer-Encoding: \x0bchunked"],
            &["Host: a", "X : y"],
        ] {
            assert!(framing(GET, fields).is_err(), "{fields:?}");
        }
        assert_eq!(framing("GET /a HTTP/1.0", &[]), Ok(Framing::Length(0)));
        assert!(framing("GET /a HTTP/1.0", &["Transfer-Encoding: chunked"]).is_err());
    }

    #[test]
    fn an_absolute_target_has_the_host_of_the_host_header() {
        for (target, host, is_good) in [
            ("http://a/x", "A", true),
            ("http://a:80?x", "a:80", true),
            ("http://a/x", "b", false),
            ("http://u@a/x", "a", false),
            ("/x?to=http://b/", "a", true),
        ] {
            let line = format!("GET {target} HTTP/1.1");
            let got = framing(&line, &[&format!("Host: {host}")]);
            assert_eq!(got.is_ok(), is_good, "{target} {host}");
        }
    }
}
