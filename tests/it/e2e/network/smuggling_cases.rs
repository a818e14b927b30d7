//! The classic forms of request smuggling, each of which can be parsed in two ways.

/// Part of the id of the request that is hidden in each case's body.
pub const SMUGGLED: &str = "smuggled";

pub struct Case {
    pub name: &'static str,
    pub request: Vec<u8>,
}

/// What follows the header in question: a body that is over after `0\r\n\r\n` to one reader, and after
/// its length to another one.
const HIDDEN: &str = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: smuggled\r\n\r\n";

/// Headers of a PUT that is followed by [`HIDDEN`].
const HEADERS: &[(&str, &str)] = &[
    ("no Host", "X: y\r\nContent-Length: 0"),
    ("two Hosts", "Host: a\r\nHost: b\r\nContent-Length: 0"),
    ("two equal Hosts", "Host: a\r\nHost: a\r\nContent-Length: 0"),
    ("an empty Host", "Host:\r\nContent-Length: 0"),
    ("a Host with a user", "Host: a@b\r\nContent-Length: 0"),
    ("a Host with a blank", "Host: a b\r\nContent-Length: 0"),
    ("a Host with a path", "Host: a/b\r\nContent-Length: 0"),
    (
        "Content-Length, then chunked",
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    ),
    (
        "chunked, then Content-Length",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    ),
    (
        "Content-Length between chunked",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    ),
    (
        "chunked and a length of 0",
        "Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
    ),
    (
        "gzip, chunked",
        "Host: a\r\nTransfer-Encoding: gzip, chunked",
    ),
    (
        "gzip and chunked in two lines",
        "Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    ),
    (
        "chunked twice",
        "Host: a\r\nTransfer-Encoding: chunked, chunked",
    ),
    (
        "chunked in two lines",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ),
    (
        "chunked, identity",
        "Host: a\r\nTransfer-Encoding: chunked, identity",
    ),
    (
        "identity, chunked",
        "Host: a\r\nTransfer-Encoding: identity, chunked",
    ),
    ("identity", "Host: a\r\nTransfer-Encoding: identity"),
    ("gzip", "Host: a\r\nTransfer-Encoding: gzip"),
    ("xchunked", "Host: a\r\nTransfer-Encoding: xchunked"),
    ("chunkedx", "Host: a\r\nTransfer-Encoding: chunkedx"),
    (
        "chunked with a parameter",
        "Host: a\r\nTransfer-Encoding: chunked;q=1",
    ),
    (
        "quoted chunked",
        "Host: a\r\nTransfer-Encoding: \"chunked\"",
    ),
    ("no coding", "Host: a\r\nTransfer-Encoding:"),
    (
        "an empty element and chunked",
        "Host: a\r\nTransfer-Encoding: , chunked",
    ),
    (
        "chunked and an empty element",
        "Host: a\r\nTransfer-Encoding: chunked,",
    ),
    (
        "a vertical tab and chunked",
        "Host: a\r\nTransfer-Encoding: \x0bchunked",
    ),
    (
        "chunked and a NUL",
        "Host: a\r\nTransfer-Encoding: chunked\0",
    ),
    (
        "a space before the colon",
        "Host: a\r\nTransfer-Encoding : chunked",
    ),
    (
        "a tab before the colon",
        "Host: a\r\nTransfer-Encoding\t: chunked",
    ),
    (
        "a space before the colon of a length",
        "Host: a\r\nContent-Length : 5",
    ),
    (
        "a line with a blank in front",
        "Host: a\r\n Transfer-Encoding: chunked",
    ),
    ("a fold", "Host: a\r\nX: y\r\n Transfer-Encoding: chunked"),
    (
        "a folded value",
        "Host: a\r\nTransfer-Encoding:\r\n chunked",
    ),
    (
        "a folded value behind a tab",
        "Host: a\r\nTransfer-Encoding:\r\n\tchunked",
    ),
    ("a folded length", "Host: a\r\nContent-Length:\r\n 5"),
    ("a bare LF", "Host: a\nContent-Length: 0"),
    (
        "a bare LF before chunked",
        "Host: a\r\nX: y\nTransfer-Encoding: chunked",
    ),
    (
        "a bare CR before chunked",
        "Host: a\r\nX: y\rTransfer-Encoding: chunked",
    ),
    (
        "a bare CR in the name",
        "Host: a\r\n\rTransfer-Encoding: chunked",
    ),
    ("LF and CR", "Host: a\n\rTransfer-Encoding: chunked"),
    ("two CR", "Host: a\r\r\nContent-Length: 0"),
    (
        "two different lengths",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 6",
    ),
    (
        "two equal lengths",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5",
    ),
    ("a list of lengths", "Host: a\r\nContent-Length: 5, 5"),
    (
        "a list of different lengths",
        "Host: a\r\nContent-Length: 5, 6",
    ),
    ("a length with a sign", "Host: a\r\nContent-Length: +5"),
    ("a negative length", "Host: a\r\nContent-Length: -5"),
    ("a hexadecimal length", "Host: a\r\nContent-Length: 0x5"),
    (
        "a length with an underscore",
        "Host: a\r\nContent-Length: 1_0",
    ),
    (
        "a length with a blank in it",
        "Host: a\r\nContent-Length: 1 0",
    ),
    ("a length with a point", "Host: a\r\nContent-Length: 5.0"),
    ("an empty length", "Host: a\r\nContent-Length:"),
    (
        "a length past 64 bits",
        "Host: a\r\nContent-Length: 18446744073709551621",
    ),
    ("no colon", "Host: a\r\nTransfer-Encoding chunked"),
    ("no name", "Host: a\r\n: chunked"),
    (
        "a name with a NUL",
        "Host: a\r\nTransfer-Encoding\0: chunked",
    ),
];

/// Bodies of a PUT in chunks, each followed by the rest of [`HIDDEN`].
const CHUNKS: &[(&str, &str)] = &[
    ("an extension", "0;x\r\n\r\n"),
    ("an extension with a value", "1;a=b\r\nx\r\n0\r\n\r\n"),
    ("an extension with a bare LF", "2;\nxx\r\n0\r\n\r\n"),
    ("a blank behind the size", "1 \r\nx\r\n0\r\n\r\n"),
    ("a blank before the size", " 1\r\nx\r\n0\r\n\r\n"),
    ("a bare LF behind the size", "1\nx\r\n0\r\n\r\n"),
    ("a bare CR behind the size", "1\rx\r\n0\r\n\r\n"),
    ("a bare LF behind the data", "1\r\nx\n0\r\n\r\n"),
    ("nothing behind the data", "1\r\nx0\r\n\r\n"),
    ("other bytes behind the data", "1\r\nxyz0\r\n\r\n"),
    ("a size with 0x", "0x1\r\nx\r\n0\r\n\r\n"),
    ("a size with a sign", "+1\r\nx\r\n0\r\n\r\n"),
    ("a negative size", "-1\r\nx\r\n0\r\n\r\n"),
    ("a size with an underscore", "0_1\r\nx\r\n0\r\n\r\n"),
    ("an empty size", "\r\nx\r\n0\r\n\r\n"),
    ("a size past 64 bits", "10000000000000001\r\nx\r\n0\r\n\r\n"),
    ("a size past 63 bits", "ffffffffffffffff\r\nx\r\n0\r\n\r\n"),
    (
        "a size of many digits",
        "00000000000000001\r\nx\r\n0\r\n\r\n",
    ),
    ("a bare LF at the end", "1\r\nx\r\n0\r\n\n"),
    ("a bare LF behind the last size", "1\r\nx\r\n0\n\r\n"),
    ("a trailer with a bare LF", "1\r\nx\r\n0\r\nA: b\n\r\n"),
    ("a folded trailer", "1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n"),
    (
        "a trailer without a colon",
        "1\r\nx\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
    ),
];

/// Request lines and the rest of their heads.
const REQUEST_LINES: &[(&str, &str)] = &[
    (
        "another host in the target",
        "GET http://b/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "another port in the target",
        "GET http://a:81/healthz HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ),
    (
        "a user in the target",
        "GET http://u@a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a bare LF behind the request line",
        "GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
    ),
    ("nothing but bare LF", "GET /healthz HTTP/1.1\nHost: a\n\n"),
    (
        "a bare LF at the end of the head",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
    ),
    (
        "a bare CR in the request line",
        "GET /healthz\rHTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "two blanks in the request line",
        "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a tab in the request line",
        "GET\t/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a blank in the target",
        "GET /health z HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a blank behind the version",
        "GET /healthz HTTP/1.1 \r\nHost: a\r\n\r\n",
    ),
    (
        "a blank before the method",
        " GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a bare LF before the request",
        "\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("no version", "GET /healthz\r\nHost: a\r\n\r\n"),
    ("version 1.2", "GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("version 2.0", "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n"),
    (
        "a version in lower case",
        "GET /healthz http/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "chunked in HTTP/1.0",
        "POST /healthz HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two Hosts in HTTP/1.0",
        "GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    ),
    (
        "a fold behind the request line",
        "GET /healthz HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
    ),
];

pub fn cases(token: &str) -> Vec<Case> {
    let put = format!("PUT /object/{token} HTTP/1.1\r\n");
    let chunked = format!("{put}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let rest = HIDDEN.strip_prefix("0\r\n\r\n").unwrap();
    let headers = HEADERS
        .iter()
        .map(|(name, lines)| (*name, format!("{put}{lines}\r\n\r\n{HIDDEN}")));
    let chunks = CHUNKS
        .iter()
        .map(|(name, body)| (*name, format!("{chunked}{body}{rest}")));
    let lines = REQUEST_LINES
        .iter()
        .map(|(name, head)| (*name, format!("{head}{rest}")));
    let all = headers.chain(chunks).chain(lines);
    all.map(|(name, request)| Case {
        name,
        request: request.into_bytes(),
    })
    .collect()
}
