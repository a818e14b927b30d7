//! A strict parser for HTTP/1 answers (RFC 9112).

pub struct Answer<'a> {
    pub status: u16,
    headers: Vec<(&'a str, &'a str)>,
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `name` in lower case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = |(key, _): &&(&str, &str)| key.eq_ignore_ascii_case(name);
        let values: Vec<&str> = self.headers.iter().filter(named).map(|(_, v)| *v).collect();
        values.into_iter()
    }
}

/// Every final answer in `bytes`. The last one may be cut off after its head.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<Answer<'_>>, &'static str> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let (mut answer, rest) = head(bytes)?;
        (answer.body, bytes) = body(&answer, rest)?;
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    Ok(answers)
}

fn head(bytes: &[u8]) -> Result<(Answer<'_>, &[u8]), &'static str> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or("a head without an end")?;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is not text")?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let version = line.strip_prefix("HTTP/1.").ok_or("no status line")?;
    let status = version.get(2..5).and_then(|status| status.parse().ok());
    let status = status.filter(|status| (100..600).contains(status));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let right = !name.is_empty() && name.bytes().all(token) && !value.contains(['\r', '\n']);
        right.then(|| (name, value.trim_matches([' ', '\t'])))
    });
    let headers: Option<Vec<_>> = headers.collect();
    let answer = Answer {
        status: status.ok_or("no status")?,
        headers: headers.ok_or("a line that is no header")?,
        body: &[],
    };
    Ok((answer, &bytes[end + 4..]))
}

/// The body and the bytes after it.
fn body<'a>(answer: &Answer<'_>, rest: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), &'static str> {
    if answer.status < 200 || [204, 304].contains(&answer.status) {
        return Ok((&[], rest));
    }
    // An answer to HEAD has no body, and no body of the gateway begins with `HTTP/1.`.
    if rest.is_empty() || rest.starts_with(b"HTTP/1.") {
        return Ok((&[], rest));
    }
    let lengths: Vec<&str> = answer.values("content-length").collect();
    match (
        lengths.as_slice(),
        answer.values("transfer-encoding").next(),
    ) {
        ([length], None) => {
            let length: usize = length.parse().map_err(|_| "a length that is no number")?;
            Ok(rest.split_at(length.min(rest.len())))
        }
        ([], None) => Ok((rest, &[])),
        // The target parses no chunked answers.
        ([], Some("chunked")) => Err("a chunked answer"),
        _ => Err("two lengths"),
    }
}
