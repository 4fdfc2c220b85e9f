//! Where a database is and how to speak with it: a store URL of PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::OpenError;

/// The two ways in which such a URL begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// Options that are passed on as they stand.
const PASSED_ON: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "dbname",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
];
/// How long one address may take to answer, unless the URL says otherwise.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A connection whose other end has not acknowledged for this long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A URL of PostgreSQL. What is shown of it has no password.
#[derive(Clone)]
pub struct PostgresUrl {
    shown: String,
    config: Config,
    password_file: Option<PathBuf>,
    authority_file: Option<PathBuf>,
    is_encrypted: bool,
    has_named_statements: bool,
}

impl PostgresUrl {
    /// Whether the text is meant as one.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads the URL.
    ///
    /// # Errors
    /// [`OpenError::PostgresUrl`]; it never has the text, in which a password may stand.
    pub(crate) fn parse(text: &str) -> Result<Self, OpenError> {
        Self::read(text).map_err(OpenError::PostgresUrl)
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme));
        let scheme = scheme.ok_or("it begins with `postgres://`")?;
        let rest = text.get(scheme.len()..).unwrap_or_default();
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, _) = place.split_once('/').unwrap_or((place, ""));
        if rest.matches('@').count() > 1 || (rest.contains('@') && !authority.contains('@')) {
            return Err("`@` stands once, behind the user; write `%40` elsewhere");
        }
        let (credentials, address) = match place.split_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, place),
        };
        let (user, password) = match credentials.and_then(|it| it.split_once(':')) {
            Some((user, password)) => (Some(user), Some(password)),
            None => (credentials, None),
        };
        let options = Options::read(options)?;
        let user_at = user.map(|user| format!("{user}@")).unwrap_or_default();
        let standard = format!("{scheme}{user_at}{address}{}", questioned(&options.passed_on));
        let mut config = Config::from_str(&standard)
            .map_err(|_| "write `postgres://USER@HOST:PORT/DATABASE`")?;
        if let Some(password) = password {
            config.password(decoded(password).ok_or("the password is not well encoded")?);
        }
        let mut url = Self {
            shown: format!("{scheme}{user_at}{address}{}", questioned(&options.all)),
            config,
            password_file: options.password_file,
            authority_file: options.authority_file,
            is_encrypted: options.is_encrypted,
            has_named_statements: options.has_named_statements,
        };
        if password.is_none() {
            text.clone_into(&mut url.shown);
        }
        url.settle()
    }

    /// Refuses what cannot be connected to, and fills in what was not said.
    fn settle(mut self) -> Result<Self, &'static str> {
        if self.config.get_user().is_none_or(str::is_empty) {
            return Err("it names no user");
        }
        let sockets = self.config.get_hosts().iter().filter(|host| matches!(host, Host::Unix(_)));
        let sockets = sockets.count();
        if self.config.get_hosts().is_empty() {
            return Err("it names no host");
        }
        if sockets > 0 && sockets < self.config.get_hosts().len() {
            return Err("hosts are either all folders of sockets or none of them");
        }
        if self.config.get_password().is_some() && self.password_file.is_some() {
            return Err("it has a password and a password file; one of them is enough");
        }
        self.is_encrypted &= sockets == 0;
        self.config.ssl_mode(if self.is_encrypted { SslMode::Require } else { SslMode::Disable });
        // A standby would not take what is written, and may show what has passed.
        self.config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if self.config.get_connect_timeout().is_none() {
            self.config.connect_timeout(CONNECT_TIME);
        }
        if self.config.get_tcp_user_timeout().is_none() {
            self.config.tcp_user_timeout(SILENCE_MAX);
        }
        if self.config.get_application_name().is_none() {
            self.config.application_name("strongroom");
        }
        Ok(self)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The file whose first line is the password.
    pub(super) fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    /// The file with the certificates of those who may vouch for the server, if not the system's.
    pub(super) fn authority_file(&self) -> Option<&Path> {
        self.authority_file.as_deref()
    }

    /// Whether TLS is spoken. Over a socket of this machine it is not.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Whether statements are prepared once for each connection; a pooler may not keep them.
    pub(super) fn has_named_statements(&self) -> bool {
        self.has_named_statements
    }
}

/// Two URLs are the same if they name the same place in the same words; passwords are not compared.
impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands behind the question mark.
struct Options {
    all: Vec<String>,
    passed_on: Vec<String>,
    password_file: Option<PathBuf>,
    authority_file: Option<PathBuf>,
    is_encrypted: bool,
    has_named_statements: bool,
}

impl Options {
    fn read(text: &str) -> Result<Self, &'static str> {
        let mut options = Self {
            all: Vec::new(),
            passed_on: Vec::new(),
            password_file: None,
            authority_file: None,
            is_encrypted: true,
            has_named_statements: true,
        };
        for option in text.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or("an option is `NAME=VALUE`")?;
            let value = decoded(value).ok_or("an option is not well encoded")?;
            match name {
                "password_file" => options.password_file = Some(PathBuf::from(value)),
                "sslrootcert" => options.authority_file = Some(PathBuf::from(value)),
                "sslmode" => options.is_encrypted = is_encrypted(&value)?,
                "statements" => options.has_named_statements = is_named(&value)?,
                "password" => return Err("a password stands in a file: `password_file=FILE`"),
                name if PASSED_ON.contains(&name) => options.passed_on.push(option.to_owned()),
                _ => {
                    return Err("an option is not known; there are `password_file`, `sslmode`, \
                                `sslrootcert`, `statements`, and those that say where the server is");
                }
            }
            options.all.push(option.to_owned());
        }
        Ok(options)
    }
}

fn is_encrypted(mode: &str) -> Result<bool, &'static str> {
    match mode {
        "verify-full" => Ok(true),
        "disable" => Ok(false),
        _ => Err("`sslmode` is `verify-full` or `disable`; what lies between stops no attacker"),
    }
}

fn is_named(statements: &str) -> Result<bool, &'static str> {
    match statements {
        "named" => Ok(true),
        "unnamed" => Ok(false),
        _ => Err("`statements` is `named` or `unnamed`"),
    }
}

fn questioned(options: &[String]) -> String {
    if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) }
}

/// The text behind its percent signs (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).unwrap()
    }

    #[test]
    fn a_url_without_a_password_is_shown_as_it_was_written() {
        for text in [
            "postgres://strongroom@db.example.org/strongroom",
            "postgresql://strongroom@db:6432/store?sslrootcert=/etc/ca.pem&password_file=/run/pw",
            "postgres://u@%2Frun%2Fpostgresql/store",
            "postgres:///store?host=/run/postgresql&user=u",
            "postgres://u@[::1]:5433/store?sslmode=disable&statements=unnamed&",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_password_is_used_and_never_shown() {
        let url = parse("postgres://u:se%3Acret%40%21@db/store?sslmode=verify-full");
        assert_eq!(url.config().get_password(), Some(&b"se:cret@!"[..]));
        assert_eq!(url.to_string(), "postgres://u@db/store?sslmode=verify-full");
        assert!(!format!("{url:?} {url:#?}").contains("cret"));
        assert_eq!(url, parse(&url.to_string()));
    }

    #[test]
    fn what_is_refused_is_refused_without_its_text() {
        for text in [
            "postgres:",
            "postgres:u:hidden@db/store",
            "postgres://",
            "postgres://db/hidden",
            "postgres://u:hidden",
            "postgres://u:hidden@db@store/x",
            "postgres://u:hid/den@db/store",
            "postgres://u:hidden%zz@db/store",
            "postgres://u@db/store?password=hidden",
            "postgres://u:hidden@db/store?password_file=x",
            "postgres://u@db/store?sslmode=prefer-hidden",
            "postgres://u@db/store?sslmode=require",
            "postgres://u@db/store?options=-csynchronous_commit%3Doff",
            "postgres://u@db/store?hidden",
            "postgres://u:hidden@db:port/store",
            "postgres://u@db,%2Frun/store",
        ] {
            let error = PostgresUrl::parse(text).expect_err(text).to_string();
            assert!(!error.contains("hidden") && !error.contains("den@"), "{error}");
        }
    }

    #[test]
    fn tls_is_spoken_unless_it_is_declined_or_the_server_is_behind_a_socket() {
        assert!(parse("postgres://u@127.0.0.1/store").is_encrypted());
        assert!(!parse("postgres://u@db/store?sslmode=disable").is_encrypted());
        assert!(!parse("postgres://u@%2Frun/store").is_encrypted());
        assert!(!parse("postgres://u@%2Frun/store?sslmode=verify-full").is_encrypted());
    }
}
