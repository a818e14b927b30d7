//! Makes connections from the settings: to an address, or to the master that sentinels name.

use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};

use crate::error::Result;
use crate::redis::error;
use crate::settings::{RedisSettings, Secret};

/// Logins and TLS of every connection.
pub struct Connector {
    /// At servers with data.
    login: RedisConnectionInfo,
    /// At sentinels.
    sentinel_login: RedisConnectionInfo,
    tls: Option<TlsCertificates>,
}

impl Connector {
    /// Uses no network.
    pub fn new(settings: &RedisSettings) -> Result<Arc<Self>> {
        let data = login(&settings.username, &settings.password);
        let sentinels = login(&settings.sentinel_username, &settings.sentinel_password);
        let bytes = |text: &str| Some(text.as_bytes().to_vec()).filter(|text| !text.is_empty());
        let key = bytes(settings.tls_key.expose());
        let tls = settings.tls.then(|| TlsCertificates {
            root_cert: bytes(&settings.tls_ca),
            client_tls: bytes(&settings.tls_cert)
                .zip(key)
                .map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
        });
        let connector = Self {
            login: data.set_db(i64::from(settings.db)),
            sentinel_login: sentinels,
            tls,
        };
        for address in &settings.addresses {
            connector
                .client(address, &connector.login)
                .map_err(|e| error::failed("redis.open", e))?;
        }
        Ok(Arc::new(connector))
    }

    /// Connects to the server at `address`.
    pub async fn connect(
        &self,
        address: &str,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let client = self.client(address, &self.login)?;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }

    fn client(&self, address: &str, login: &RedisConnectionInfo) -> RedisResult<Client> {
        let (host, port) = host_and_port(address);
        let host = host.to_owned();
        let Some(certificates) = &self.tls else {
            let info: ConnectionInfo = ConnectionAddr::Tcp(host, port).into_connection_info()?;
            return Client::open(info.set_redis_settings(login.clone()));
        };
        let address = ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        };
        let info: ConnectionInfo = address.into_connection_info()?;
        Client::build_with_tls(info.set_redis_settings(login.clone()), certificates.clone())
    }
}

fn login(username: &str, password: &Secret) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default();
    if !username.is_empty() {
        login = login.set_username(username);
    }
    if !password.is_empty() {
        login = login.set_password(password.expose());
    }
    login
}

/// Splits `HOST:PORT`, and removes the brackets of an IPv6 address.
pub fn host_and_port(address: &str) -> (&str, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.trim_matches(['[', ']']), port.parse().unwrap_or(6379))
}

pub enum Target {
    Server {
        connector: Arc<Connector>,
        address: String,
    },
    /// The master that sentinels know under this name.
    Master {
        connector: Arc<Connector>,
        sentinels: Vec<String>,
        name: String,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { address, .. } => f.write_str(address),
            Self::Master { name, .. } => write!(f, "the master `{name}`"),
        }
    }
}

impl Target {
    /// Connects, and returns the address too.
    pub async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(String, MultiplexedConnection)> {
        match self {
            Self::Server { connector, address } => {
                Ok((address.clone(), connector.connect(address, config).await?))
            }
            Self::Master {
                connector,
                sentinels,
                name,
            } => {
                let mut last_error =
                    RedisError::from((ErrorKind::EmptySentinelList, "no sentinels"));
                for sentinel in sentinels {
                    match connect_to_master(connector, sentinel, name, config).await {
                        Ok(found) => return Ok(found),
                        Err(error) => last_error = error,
                    }
                }
                Err(last_error)
            }
        }
    }
}

/// Connects to the master that this sentinel names.
async fn connect_to_master(
    connector: &Connector,
    sentinel: &str,
    name: &str,
    config: &AsyncConnectionConfig,
) -> RedisResult<(String, MultiplexedConnection)> {
    let client = connector.client(sentinel, &connector.sentinel_login)?;
    let connection = client.get_multiplexed_async_connection_with_config(config);
    let mut connection = connection.await?;
    let master: Option<(String, u16)> = redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .query_async(&mut connection)
        .await?;
    let Some((host, port)) = master else {
        let unknown = "the sentinels know no master of this name";
        return Err((ErrorKind::MasterNameNotFoundBySentinel, unknown).into());
    };
    let address = format!("{host}:{port}");
    let mut connection = connector.connect(&address, config).await?;
    // A demoted master, or its sentinels, may not know yet.
    let role: redis::Value = redis::cmd("ROLE").query_async(&mut connection).await?;
    if !is_master(&role) {
        let demoted = "the server that the sentinels name is no master";
        return Err((ErrorKind::Io, demoted).into());
    }
    Ok((address, connection))
}

fn is_master(role: &redis::Value) -> bool {
    match role {
        redis::Value::Array(parts) => {
            matches!(parts.first(), Some(redis::Value::BulkString(name)) if name == b"master")
        }
        _ => false,
    }
}
