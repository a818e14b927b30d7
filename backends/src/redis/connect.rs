//! Settings to a client of the Redis library.

use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::error;
use crate::error::Result;
use crate::settings::{RedisMode, RedisSettings};

/// What the settings ask for and this version cannot do.
pub fn refusal(settings: &RedisSettings) -> Option<&'static str> {
    match settings.mode {
        RedisMode::Cluster => Some("`mode: cluster` is not part of this version yet"),
        RedisMode::Sentinel => Some("`mode: sentinel` is not part of this version yet"),
        RedisMode::Standalone if settings.wait_replicas > 0 => {
            Some("`wait_replicas` is not part of this version yet")
        }
        RedisMode::Standalone => None,
    }
}

/// Asks no network.
pub fn client(settings: &RedisSettings) -> Result<Client> {
    let address = settings.addresses.first().map_or("", String::as_str);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = port.parse().unwrap_or(6379);
    let address = match settings.tls {
        true => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        false => ConnectionAddr::Tcp(host, port),
    };
    let mut login = RedisConnectionInfo::default().set_db(i64::from(settings.db));
    if !settings.username.is_empty() {
        login = login.set_username(&settings.username);
    }
    if !settings.password.is_empty() {
        login = login.set_password(settings.password.expose());
    }
    let info = address
        .into_connection_info()
        .map_err(|e| error::failed("redis.open", e))?
        .set_redis_settings(login);
    Client::open(info).map_err(|e| error::failed("redis.open", e))
}
