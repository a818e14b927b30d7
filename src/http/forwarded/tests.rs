use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn trusted() -> Vec<IpNet> {
    let networks = ["10.0.0.0/8", "fd00::/8"].iter();
    networks.map(|network| network.parse().unwrap()).collect()
}

fn known(ip: &str) -> ClientAddress {
    ip.parse::<IpAddr>().unwrap().into()
}

fn of(source: &str, x_forwarded_for: &[&str], forwarded: &[&str]) -> String {
    let lines = |lines: &[&str]| -> Vec<Vec<u8>> {
        lines.iter().map(|line| line.as_bytes().to_vec()).collect()
    };
    let (one, other) = (lines(x_forwarded_for), lines(forwarded));
    let (one, other) = (
        one.iter().map(Vec::as_slice),
        other.iter().map(Vec::as_slice),
    );
    client(known(source), one, other, &trusted()).to_string()
}

#[test]
fn only_trusted_proxies_are_believed() {
    assert_eq!(of("1.2.3.4", &["6.6.6.6"], &["for=6.6.6.6"]), "1.2.3.4");
    assert_eq!(of("::ffff:1.2.3.4", &["6.6.6.6"], &[]), "1.2.3.4");
    assert_eq!(of("10.0.0.1", &[], &[]), "10.0.0.1");
    assert_eq!(
        of("10.0.0.1", &["6.6.6.6, 7.7.7.7, 10.0.0.9"], &[]),
        "7.7.7.7"
    );
    assert_eq!(
        of("10.0.0.1", &["6.6.6.6", "[2001:db8::1]:80"], &[]),
        "2001:db8::1"
    );
    assert_eq!(of("10.0.0.1", &["10.0.0.2, 10.0.0.3"], &[]), "10.0.0.2");
    assert_eq!(of("10.0.0.1", &["6.6.6.6, junk"], &[]), "unknown");
    assert_eq!(of("10.0.0.1", &["6.6.6.6, junk, 10.0.0.3"], &[]), "unknown");
    assert_eq!(of("10.0.0.1", &[""], &[]), "unknown");
}

#[test]
fn forwarded_is_read_by_rfc_7239() {
    for (line, client) in [
        ("for=7.7.7.7", "7.7.7.7"),
        ("For=\"[2001:db8::1]:47\";Proto=https", "2001:db8::1"),
        ("proto=http;by=10.0.0.1;for=7.7.7.7:80", "7.7.7.7"),
        ("for=6.6.6.6, for=7.7.7.7,for=10.0.0.2", "7.7.7.7"),
        ("for=\", for=7.7.7.7", "7.7.7.7"),
        ("for=6.6.6.6;x=\", for=7.7.7.7;y=\"a,b\"", "7.7.7.7"),
        ("for=\"7.7.7.7", "unknown"),
        ("for=7.7.7.7;for=7.7.7.7", "unknown"),
        ("for=7.7.7.7;", "unknown"),
        ("for =7.7.7.7", "unknown"),
        ("by=7.7.7.7", "unknown"),
        ("for=unknown", "unknown"),
        ("7.7.7.7", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(of("10.0.0.1", &[], &[line]), client, "{line}");
    }
}

#[test]
fn both_headers_count_where_they_agree() {
    assert_eq!(
        of("10.0.0.1", &["7.7.7.7"], &["for=\"7.7.7.7:1\""]),
        "7.7.7.7"
    );
    assert_eq!(of("10.0.0.1", &["7.7.7.7"], &["for=6.6.6.6"]), "unknown");
    assert_eq!(of("10.0.0.1", &["junk"], &["for=_x"]), "unknown");
}

/// A header line as any client may write it: meaningful words in any order, and any bytes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "10.0.0.7",
        "6.6.6.6",
        "for=",
        "for=6.6.6.6",
        ", ",
        ",",
        ";",
        "\"",
        "\\",
        "[",
        "]",
        "::1",
        "fd00::1",
        ":",
        "80",
        "unknown",
        "=",
        " ",
        "%eth0",
        "for=\"[fd00::2]:1\"",
    ]);
    let words = words.prop_map(|word| word.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let pieces = prop::collection::vec(prop_oneof![4 => words, 1 => noise], 0..10);
    pieces.prop_map(|pieces| pieces.concat())
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(line(), 0..4)
}

/// How a proxy records its peer.
#[derive(Debug, Clone, Copy)]
enum Writes {
    /// At the end of the last line (nginx, HAProxy with one header).
    Appended,
    /// In a line of its own (HAProxy, Envoy).
    Added,
}

fn write(lines: &mut Vec<Vec<u8>>, how: Writes, hop: &str) {
    match (how, lines.last_mut()) {
        (Writes::Appended, Some(last)) => {
            last.extend_from_slice(b", ");
            last.extend_from_slice(hop.as_bytes());
        }
        (Writes::Appended, None) | (Writes::Added, _) => lines.push(hop.as_bytes().to_vec()),
    }
}

/// An address as proxies write it in `X-Forwarded-For`.
fn plain(ip: IpAddr, with_port: bool) -> String {
    match (ip, with_port) {
        (_, false) => ip.to_string(),
        (IpAddr::V4(ip), true) => format!("{ip}:4711"),
        (IpAddr::V6(ip), true) => format!("[{ip}]:4711"),
    }
}

/// An address as proxies write it in `Forwarded`.
fn forwarded(ip: IpAddr, with_port: bool) -> String {
    match (ip, with_port) {
        (IpAddr::V4(ip), false) => format!("for={ip}"),
        (IpAddr::V4(ip), true) => format!("proto=https;for=\"{ip}:4711\";by=\"_a,b\""),
        (IpAddr::V6(ip), false) => format!("for=\"[{ip}]\""),
        (IpAddr::V6(ip), true) => format!("for=\"[{ip}]:_x\";host=\"a;b\\\"c\""),
    }
}

fn proxies() -> impl Strategy<Value = Vec<(IpAddr, Writes, bool)>> {
    let ip = prop_oneof![
        any::<[u8; 3]>().prop_map(|[b, c, d]| IpAddr::from([10, b, c, d])),
        any::<u16>().prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])),
    ];
    let writes = prop::sample::select(vec![Writes::Appended, Writes::Added]);
    prop::collection::vec((ip, writes, any::<bool>()), 1..4)
}

fn untrusted() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ]
    .prop_map(|ip| ip.to_canonical())
    .prop_filter("not a trusted proxy", |ip| {
        !is_trusted((*ip).into(), &trusted())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// The proxies write one header, and remove or write the other: whatever the client sends, its address
    /// is the one that the outermost trusted proxy has seen.
    #[test]
    fn headers_of_a_client_do_not_change_the_address_that_a_proxy_has_seen(
        client_ip in untrusted(),
        chain in proxies(),
        mut one in lines(),
        mut other in lines(),
        header in prop::sample::select(vec!["x-forwarded-for", "forwarded", "both"]),
    ) {
        let mut seen = client_ip;
        for (proxy, how, with_port) in &chain {
            write(&mut one, *how, &plain(seen, *with_port));
            write(&mut other, *how, &forwarded(seen, *with_port));
            seen = *proxy;
        }
        match header {
            "x-forwarded-for" => other.clear(),
            "forwarded" => one.clear(),
            _ => {}
        }
        let source = ClientAddress::from(seen);
        let (one, other) = (one.iter().map(Vec::as_slice), other.iter().map(Vec::as_slice));
        let expected = ClientAddress::from(client_ip);
        prop_assert_eq!(client(source, one, other, &trusted()), expected);
    }

    /// The proxies forward the header that they do not write: a client can hide its own address with it,
    /// but not take another.
    #[test]
    fn a_header_that_no_proxy_writes_cannot_give_a_client_another_address(
        client_ip in untrusted(),
        chain in proxies(),
        mut one in lines(),
        mut other in lines(),
        writes_forwarded in any::<bool>(),
    ) {
        let mut seen = client_ip;
        for (proxy, how, with_port) in &chain {
            if writes_forwarded {
                write(&mut other, *how, &forwarded(seen, *with_port));
            } else {
                write(&mut one, *how, &plain(seen, *with_port));
            }
            seen = *proxy;
        }
        let passed_on = if writes_forwarded { one.len() } else { other.len() };
        let source = ClientAddress::from(seen);
        let (one, other) = (one.iter().map(Vec::as_slice), other.iter().map(Vec::as_slice));
        let found = client(source, one, other, &trusted());
        let expected = ClientAddress::from(client_ip);
        prop_assert!(found == expected || (passed_on > 0 && found == ClientAddress::Unknown));
    }

    /// Headers of untrusted clients do not count, whatever their bytes.
    #[test]
    fn untrusted_clients_keep_their_own_address(client_ip in untrusted(), one in lines(), other in lines()) {
        let source = ClientAddress::from(client_ip);
        let (one, other) = (one.iter().map(Vec::as_slice), other.iter().map(Vec::as_slice));
        prop_assert_eq!(client(source, one, other, &trusted()), source);
    }
}
