//! Start without a configuration file: sled and a local folder.
//!
//! [`defaults`] are overridden by the environment. Where the environment has no control token,
//! [`prepare`] generates one and saves it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use asset_gateway_backends::private_files;
use asset_gateway_backends::settings::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use figment::util::map;
use figment::value::{Dict, Value};

use super::{Config, ControlToken};

/// The folder of all data.
pub const DATA: &str = "./data";
const TOKEN_FILE: &str = "control-token";

/// The differences to the defaults of a file: listens on this machine only, and has a bucket `local`.
pub(super) fn defaults() -> Dict {
    let bucket: Dict = map! {
        "provider".to_owned() => Value::from("fs"),
        "root".to_owned() => Value::from(format!("{DATA}/objects")),
    };
    map! {
        "server".to_owned() => Value::from(map! { "listen" => "127.0.0.1:8080" }),
        "sled".to_owned() => Value::from(map! { "path" => format!("{DATA}/tokens") }),
        "buckets".to_owned() => Value::from(map! { "local" => bucket }),
    }
}

/// Adds the control token in `data`, or a new one, to a configuration of embedded mode. Does nothing for
/// other configurations, and where the environment has tokens.
pub fn prepare(config: &mut Config, data: &Path) -> io::Result<()> {
    if !config.embedded {
        return Ok(());
    }
    // The folder may come from an earlier version or a backup.
    if data.exists() {
        private_files::create_folder(data)?;
    }
    if !config.control.tokens.is_empty() {
        return Ok(());
    }
    let text = control_token(data)?;
    let invalid = |error: String| {
        let file = token_file(data);
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}`: {error}", file.display()),
        )
    };
    let token = ControlToken::try_from(text.clone()).map_err(invalid)?;
    config.control.tokens.push(token);
    config.embedded_token = Some(Secret::new(text));
    Ok(())
}

/// The file of embedded mode's control token.
pub fn token_file(data: &Path) -> PathBuf {
    data.join(TOKEN_FILE)
}

fn control_token(data: &Path) -> io::Result<String> {
    let file = token_file(data);
    let read = |file: &Path| std::fs::read_to_string(file).map(|text| text.trim().to_owned());
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", file.display()));
    match read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => {
            private_files::restrict(&file);
            return found.map_err(named);
        }
    }
    private_files::create_folder(data).map_err(named)?;

    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    // Written atomically; temporary files have mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(data).map_err(named)?;
    writeln!(temporary, "{token}")?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(&file) {
        Ok(_) => Ok(token),
        // Another process was faster: use its token.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            read(&file).map_err(named)
        }
        Err(error) => Err(named(error.error)),
    }
}

/// What embedded mode prints at every start: shell commands that upload a file and download it again.
pub fn banner(base_url: &str, token: &str) -> String {
    let base_url = quoted(base_url);
    let bearer = quoted(&format!("Authorization: Bearer {token}"));
    format!(
        r#"AssetGateway runs without a configuration: everything is kept in {DATA}.
Its control token is kept in {DATA}/{TOKEN_FILE}. Paste this into a shell to try it:

# upload a file
echo 'Hello from AssetGateway' > hello.txt
PUT_URL=$(curl -fsS -X POST {base_url}/token \
  -H {bearer} \
  -H 'Content-Type: application/json' \
  -d '{{"bucket":"local","key":"hello.txt","method":"PUT"}}' \
  | sed -n 's/.*"url" *: *"\([^"]*\)".*/\1/p')
curl -fsS -X PUT "$PUT_URL" -H 'Content-Type: text/plain' --data-binary @hello.txt; echo

# download it
GET_URL=$(curl -fsS -X POST {base_url}/token \
  -H {bearer} \
  -H 'Content-Type: application/json' \
  -d '{{"bucket":"local","key":"hello.txt","method":"GET","filename":"hello.txt"}}' \
  | sed -n 's/.*"url" *: *"\([^"]*\)".*/\1/p')
curl -fsS "$GET_URL"
"#
    )
}

/// Quotes `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded() -> Config {
        Config::load(&super::super::ConfigSource::Embedded, &Default::default()).expect("valid")
    }

    #[test]
    fn embedded_mode_needs_no_configuration() {
        let config = embedded();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.sled.path, Path::new("./data/tokens"));
        assert_eq!(config.buckets["local"].root, Path::new("./data/objects"));
        assert!(config.embedded && config.embedded_token.is_none());
    }

    #[test]
    fn a_token_is_generated_once_and_saved_privately() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let start = || {
            let mut config = embedded();
            prepare(&mut config, &data).expect("prepared");
            config
                .embedded_token
                .map(|token| token.expose().to_owned())
                .expect("a token")
        };
        let token = start();
        assert_eq!(token.len(), 43);
        assert_eq!(start(), token);

        let mut config = embedded();
        prepare(&mut config, &data).expect("prepared");
        assert!(config.control.tokens[0].matches(token.as_bytes()));

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&data), 0o700);
            assert_eq!(mode(&data.join("control-token")), 0o600);
        }
        assert_eq!(std::fs::read_dir(&data).expect("there").count(), 1);
    }

    #[test]
    fn tokens_of_the_environment_replace_the_generated_one() {
        let folder = tempfile::tempdir().expect("folder");
        let variables = [(
            "ASSET_GATEWAY__CONTROL__TOKENS".to_owned(),
            "mine".to_owned(),
        )];
        let source = super::super::ConfigSource::Embedded;
        let mut config = Config::load(&source, &variables.into()).expect("valid");
        prepare(&mut config, folder.path()).expect("prepared");
        assert!(config.control.tokens[0].matches(b"mine"));
        assert!(config.embedded_token.is_none());
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
    }

    #[test]
    fn an_empty_token_file_stops_the_start() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("control-token"), "\n").expect("written");
        let error = prepare(&mut embedded(), folder.path()).expect_err("empty");
        assert!(error.to_string().contains("control-token"), "{error}");
    }

    /// Runs the commands in bash, with a fake `curl`.
    #[cfg(unix)]
    #[test]
    fn the_banners_commands_run_in_a_shell() {
        let text = banner("http://127.0.0.1:8080", "it's-a-token");
        let (_, commands) = text.split_once("\n\n").expect("commands");
        let script = format!(
            r#"
curl() {{
  printf '%s|' "$@" >> calls; echo >> calls
  case "$*" in
    *'"method":"PUT"'*) echo '{{"token":"t","url":"http://127.0.0.1:8080/object/put","status_url":"http://x/s"}}' ;;
    *'"method":"GET"'*) echo '{{"url":"http://127.0.0.1:8080/object/get","token_id":"1"}}' ;;
    *object/put*) cp hello.txt stored ;;
    *object/get*) cat stored ;;
  esac
}}
{commands}"#
        );
        let folder = tempfile::tempdir().expect("folder");
        let output = std::process::Command::new("bash")
            .args(["-euc", &script])
            .current_dir(folder.path())
            .output()
            .expect("bash");
        assert!(output.status.success(), "{output:?}");
        let calls = std::fs::read_to_string(folder.path().join("calls")).expect("calls");
        assert_eq!(calls.lines().count(), 4, "{calls}");
        assert!(
            calls.contains("|Authorization: Bearer it's-a-token|"),
            "{calls}"
        );
        assert!(calls.contains("|http://127.0.0.1:8080/token|"), "{calls}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("Hello from AssetGateway\n"));
    }
}
