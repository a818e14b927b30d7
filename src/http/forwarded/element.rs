//! Parses one hop of a list: the end of its element, and its address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::media_type::is_token_byte;

/// The elements of one line of `Forwarded`, the last one first. A comma inside a quoted string does
/// not end an element.
///
/// Read from the right, a proxy's element depends on its own bytes alone: a quotation mark that a client
/// leaves open cannot hide it.
pub fn quoted_elements_from_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut in_quotes = false;
        for (at, byte) in line.iter().enumerate().rev() {
            match byte {
                // A closing mark is never escaped: escapes exist inside quotes only.
                b'"' if !in_quotes => in_quotes = true,
                b'"' if !is_escaped(line, at) => in_quotes = false,
                b',' if !in_quotes => {
                    rest = line.get(..at);
                    return line.get(at + 1..);
                }
                _ => {}
            }
        }
        rest = None;
        Some(line)
    })
}

/// Whether an odd number of backslashes precedes `at`.
fn is_escaped(line: &[u8], at: usize) -> bool {
    let before = line[..at].iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The value of `for` in an element of `Forwarded` (RFC 7239 §4). `None` where the element has none,
/// has more than one, or is malformed.
pub fn forwarded_for(element: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut found = None;
    let mut rest = trim(element);
    loop {
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&rest[..equals], &rest[equals + 1..]);
        if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
            return None;
        }
        let (value, after) = token_or_quoted(value)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
        match after {
            [] => return found,
            [b';', more @ ..] => rest = more,
            _ => return None,
        }
    }
}

/// A value and what follows it.
fn token_or_quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    if let [b'"', quoted @ ..] = text {
        let end = closing_quote(quoted)?;
        return Some((unescaped(&quoted[..end]), &quoted[end + 1..]));
    }
    let end = text.iter().position(|byte| *byte == b';');
    let (token, after) = text.split_at(end.unwrap_or(text.len()));
    // A token has no colons and brackets, but some proxies write them without quotes.
    let is_value = |byte: &u8| is_token_byte(*byte) || matches!(byte, b':' | b'[' | b']');
    (!token.is_empty() && token.iter().all(is_value)).then_some((Cow::Borrowed(token), after))
}

fn closing_quote(quoted: &[u8]) -> Option<usize> {
    let marks = quoted.iter().enumerate();
    let mut marks = marks.filter(|(at, byte)| **byte == b'"' && !is_escaped(quoted, *at));
    marks.next().map(|(at, _)| at)
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.extend(if byte == b'\\' {
            bytes.next()
        } else {
            Some(byte)
        });
    }
    Cow::Owned(plain)
}

/// The address in `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:567`, with a
/// zone or without, in quotation marks or without. `None` for anything else.
pub fn node(text: &[u8]) -> Option<IpAddr> {
    let text = trim(text);
    let text = match text {
        [b'"', quoted @ .., b'"'] => quoted,
        plain => plain,
    };
    let text = std::str::from_utf8(text).ok()?;
    let ip = if let Some(bracketed) = text.strip_prefix('[') {
        let (ip, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        v6(ip)?.into()
    } else if let Some((ip, port)) = text.split_once(':')
        && let Ok(ip) = ip.parse::<Ipv4Addr>()
    {
        if !is_port(port) {
            return None;
        }
        ip.into()
    } else if let Ok(ip) = text.parse::<Ipv4Addr>() {
        ip.into()
    } else {
        IpAddr::from(v6(text)?)
    };
    Some(ip.to_canonical())
}

/// Drops the zone of a link-local address (RFC 4007 §11): it names an interface of the proxy.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let address = match text.split_once('%') {
        None => text,
        Some((address, zone)) if is_zone(zone) => address,
        Some(_) => return None,
    };
    address.parse().ok()
}

fn is_zone(zone: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    // The percent sign may be encoded as in a URL (RFC 6874).
    let zone = zone
        .strip_prefix("25")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(zone);
    !zone.is_empty() && zone.len() <= 32 && zone.bytes().all(is_unreserved)
}

/// A 16-bit number or an obfuscated port (RFC 7239 §6).
fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(hidden) => {
            let is_hidden = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !hidden.is_empty() && hidden.bytes().all(is_hidden)
        }
        None => {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.len() <= 5
                && port.parse::<u16>().is_ok()
        }
    }
}

/// Removes blanks and tabs at both ends (OWS, RFC 9110 §5.6.3).
fn trim(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(is_text) else {
        return &[];
    };
    let end = text.iter().rposition(is_text).unwrap_or(start);
    &text[start..=end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        for (text, ip) in [
            ("192.0.2.7", Some("192.0.2.7")),
            (" \t192.0.2.7:80 ", Some("192.0.2.7")),
            ("\"192.0.2.7\"", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("[::ffff:192.0.2.7]:1", Some("192.0.2.7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]:_hidden", Some("2001:db8::7")),
            ("fe80::7%eth0.1", Some("fe80::7")),
            ("[fe80::7%25eth0]", Some("fe80::7")),
            ("[fe80::7%25]", Some("fe80::7")),
            ("fe80::7%", None),
            ("fe80::7%a b", None),
            ("192.0.2.7%eth0", None),
            ("192.0.2.07", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:+1", None),
            ("192.0.2.7:65536", None),
            ("192.0.2.7 192.0.2.8", None),
            ("[192.0.2.7]", None),
            ("[2001:db8::7", None),
            ("[2001:db8::7]80", None),
            ("\"192.0.2.7", None),
            ("\"\"192.0.2.7\"\"", None),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("\"", None),
        ] {
            let expected = ip.map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!(node(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn elements_are_found_from_the_right() {
        let elements = |line: &'static str| {
            let found = quoted_elements_from_right(line.as_bytes());
            found
                .map(|element| std::str::from_utf8(element).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(elements("a, b,c"), ["c", " b", "a"]);
        assert_eq!(elements("a=\"1,2\",b"), ["b", "a=\"1,2\""]);
        assert_eq!(elements(r#"a="1\",2\\",b"#), ["b", r#"a="1\",2\\""#]);
        assert_eq!(elements("a=\",b=\"x\""), ["b=\"x\"", "a=\""]);
        assert_eq!(elements(""), [""]);
    }
}
