//! Settings to a connection: to the Redis that they name, or to the master that sentinels name.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult,
};

use super::error;
use crate::error::Result;
use crate::settings::{RedisMode, RedisSettings};

/// What the settings ask for and this version cannot do.
pub fn refusal(settings: &RedisSettings) -> Option<&'static str> {
    match settings.mode {
        RedisMode::Cluster => Some("`mode: cluster` is not part of this version yet"),
        RedisMode::Standalone | RedisMode::Sentinel if settings.wait_replicas > 0 => {
            Some("`wait_replicas` is not part of this version yet")
        }
        RedisMode::Standalone | RedisMode::Sentinel => None,
    }
}

/// Where to connect to.
pub struct Target {
    settings: RedisSettings,
    login: RedisConnectionInfo,
}

impl Target {
    /// Asks no network.
    pub fn new(settings: &RedisSettings) -> Result<Self> {
        let mut login = RedisConnectionInfo::default().set_db(i64::from(settings.db));
        if !settings.username.is_empty() {
            login = login.set_username(&settings.username);
        }
        if !settings.password.is_empty() {
            login = login.set_password(settings.password.expose());
        }
        let target = Self {
            settings: settings.clone(),
            login,
        };
        for address in &settings.addresses {
            target
                .client(address, RedisConnectionInfo::default())
                .map_err(|e| error::failed("redis.open", e))?;
        }
        Ok(target)
    }

    /// A new connection, and where it goes.
    pub async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(String, MultiplexedConnection)> {
        let addresses = &self.settings.addresses;
        match self.settings.mode {
            RedisMode::Standalone | RedisMode::Cluster => {
                let address = addresses.first().cloned().unwrap_or_default();
                let client = self.client(&address, self.login.clone())?;
                let connection = client.get_multiplexed_async_connection_with_config(config);
                Ok((address, connection.await?))
            }
            RedisMode::Sentinel => {
                let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinels"));
                for sentinel in addresses {
                    match self.ask(sentinel, config).await {
                        Ok(found) => return Ok(found),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    /// Connects to the master that this sentinel knows. Sentinels are asked without a password.
    async fn ask(
        &self,
        sentinel: &str,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(String, MultiplexedConnection)> {
        let client = self.client(sentinel, RedisConnectionInfo::default())?;
        let connection = client.get_multiplexed_async_connection_with_config(config);
        let mut connection = connection.await?;
        let master: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.settings.master_name)
            .query_async(&mut connection)
            .await?;
        let Some((host, port)) = master else {
            let unknown = "the sentinels know no master of this name";
            return Err((ErrorKind::MasterNameNotFoundBySentinel, unknown).into());
        };
        let address = format!("{host}:{port}");
        let client = self.client(&address, self.login.clone())?;
        let connection = client.get_multiplexed_async_connection_with_config(config);
        let mut connection = connection.await?;
        // A sentinel may not have heard yet that it was demoted.
        let role: redis::Value = redis::cmd("ROLE").query_async(&mut connection).await?;
        if !is_master(&role) {
            let demoted = "what the sentinels call the master is none";
            return Err((ErrorKind::Io, demoted).into());
        }
        Ok((address, connection))
    }

    fn client(&self, address: &str, login: RedisConnectionInfo) -> RedisResult<Client> {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = port.parse().unwrap_or(6379);
        let address = match self.settings.tls {
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host, port),
        };
        let info: ConnectionInfo = address.into_connection_info()?;
        Client::open(info.set_redis_settings(login))
    }
}

fn is_master(role: &redis::Value) -> bool {
    match role {
        redis::Value::Array(parts) => {
            matches!(parts.first(), Some(redis::Value::BulkString(name)) if name == b"master")
        }
        _ => false,
    }
}
