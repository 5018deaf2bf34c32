//! Where Redis is: a URL for each shape it runs in.

use std::fmt;

use percent_encoding::percent_decode_str;
use vocab::Invalid;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const HOSTS_MAX: usize = 32;

/// Where a Redis deployment is, in whichever shape it runs, and how to log in. Prints without
/// user names and passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) shape: Shape,
    pub(super) is_tls: bool,
    pub(super) hosts: Vec<Host>,
    pub(super) login: Login,
    pub(super) sentinel_login: Login,
    pub(super) db: i64,
}

/// How servers make a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// One server.
    Single,
    /// A primary of this name, which the hosts, sentinels, know.
    Sentinel(String),
    /// A cluster, of which the hosts are some nodes.
    Cluster,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// A user and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl RedisAddress {
    /// Reads a URL. The parts of user names and passwords that mean something in a URL are
    /// percent-encoded.
    ///
    /// # Errors
    /// Says what is right, and repeats nothing: a part may be a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Invalid> {
        let Some((scheme, rest)) = url.split_once("://") else { return Err(no_url()) };
        let (is_tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", kind) => (false, kind),
            ("rediss", kind) => (true, kind),
            _ => return Err(no_url()),
        };
        if rest.contains('#') {
            return Err(Invalid::new(
                "`#` in a Redis URL: expected %23 inside a password, and nothing else; \
                 certificates are always checked",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err(no_host()); // A `/` in the password has cut it in two.
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Login::parse(login)?, hosts),
            None => (Login::default(), authority),
        };
        let (shape, db) = match kind {
            "" => (Shape::Single, database(path)?),
            "sentinel" => sentinel(path)?,
            "cluster" if matches!(path, "" | "0") => (Shape::Cluster, 0),
            "cluster" => return Err(Invalid::new("a cluster has database 0 only: expected /0")),
            _ => return Err(no_url()),
        };
        let sentinel_login = Login::of_query(query, &shape)?;
        let hosts = hosts_of(hosts, &shape)?;
        Ok(Self { shape, is_tls, hosts, login, sentinel_login, db })
    }

    /// `redis` or `rediss`, as in the URLs of this deployment.
    pub(super) fn scheme(&self) -> &'static str {
        if self.is_tls { "rediss" } else { "redis" }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        let (scheme, hosts, db) = (self.scheme(), hosts.join(","), self.db);
        match &self.shape {
            Shape::Single => write!(f, "{scheme}://{hosts}/{db}"),
            Shape::Sentinel(name) => write!(f, "{scheme}+sentinel://{hosts}/{name}/{db}"),
            Shape::Cluster => write!(f, "{scheme}+cluster://{hosts}"),
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

impl Host {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
    pub(super) fn parse(text: &str, port: u16) -> Option<Self> {
        let (name, rest) = match text.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if rest.is_empty() => port,
            None => return None,
        };
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if name.is_empty() || !name.chars().all(is_known) || port == 0 {
            return None;
        }
        Some(Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            return write!(f, "[{}]:{}", self.name, self.port);
        }
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl Login {
    /// Reads `USER:PASSWORD`, `:PASSWORD` or `USER`.
    fn parse(text: &str) -> Result<Self, Invalid> {
        let (user, password) = match text.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (text, None),
        };
        let user = decoded(user)?;
        Ok(Self { user: Some(user).filter(|user| !user.is_empty()), password })
    }

    /// Reads how to log in to the sentinels.
    fn of_query(query: &str, shape: &Shape) -> Result<Self, Invalid> {
        let mut login = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (shape, name) {
                (Shape::Sentinel(_), "sentinel_user") => login.user = Some(decoded(value)?),
                (Shape::Sentinel(_), "sentinel_password") => login.password = Some(decoded(value)?),
                (Shape::Sentinel(_) | Shape::Single | Shape::Cluster, _) => {
                    return Err(Invalid::new(
                        "a parameter of the Redis URL is not known: expected sentinel_user and \
                         sentinel_password, behind redis+sentinel://, and no other",
                    ));
                }
            }
        }
        Ok(login)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

fn no_url() -> Invalid {
    Invalid::new(
        "not a Redis URL: expected redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME or \
         redis+cluster://HOST:PORT,HOST:PORT, with rediss for TLS and USER:PASSWORD@ before the \
         first host",
    )
}

fn no_host() -> Invalid {
    Invalid::new(
        "a host of the Redis URL is none: expected redis://HOST:PORT, several separated by commas \
         where they are sentinels or nodes of a cluster, and @, : and / in a password as %40, %3A \
         and %2F",
    )
}

fn database(text: &str) -> Result<i64, Invalid> {
    let database = if text.is_empty() { Some(0) } else { text.parse().ok() };
    database.filter(|database| *database >= 0).ok_or_else(|| {
        Invalid::new("not a Redis database: expected its number at the end, e.g. redis://HOST/0")
    })
}

fn sentinel(path: &str) -> Result<(Shape, i64), Invalid> {
    let (name, db) = path.split_once('/').unwrap_or((path, ""));
    let name = decoded(name)?;
    if name.is_empty() {
        return Err(Invalid::new(
            "no name of a primary: expected the one the sentinels know it by, e.g. \
             redis+sentinel://HOST:PORT,HOST:PORT/mymaster",
        ));
    }
    Ok((Shape::Sentinel(name), database(db)?))
}

fn hosts_of(text: &str, shape: &Shape) -> Result<Vec<Host>, Invalid> {
    let port = match shape {
        Shape::Sentinel(_) => SENTINEL_PORT,
        Shape::Single | Shape::Cluster => PORT,
    };
    let hosts: Option<Vec<Host>> = text.split(',').map(|text| Host::parse(text, port)).collect();
    match (hosts, shape) {
        (None, _) => Err(no_host()),
        (Some(hosts), Shape::Single) if hosts.len() > 1 => Err(Invalid::new(
            "several hosts: expected one, or redis+sentinel://HOST:PORT,HOST:PORT/NAME, or \
             redis+cluster://HOST:PORT,HOST:PORT",
        )),
        (Some(hosts), _) if hosts.len() > HOSTS_MAX => {
            Err(Invalid::new(format!("{} hosts: expected at most {HOSTS_MAX}", hosts.len())))
        }
        (Some(hosts), _) => Ok(hosts),
    }
}

fn decoded(text: &str) -> Result<String, Invalid> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_not_repeated| {
        Invalid::new("a part of the Redis URL is not UTF-8 once its %XX are decoded")
    })?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> RedisAddress {
        RedisAddress::parse(url).unwrap()
    }

    #[test]
    fn every_shape_has_a_url_and_prints_without_its_secrets() {
        for (url, printed) in [
            ("redis://h", "redis://h:6379/0"),
            ("rediss://ada:secret@db.example:6380/2", "rediss://db.example:6380/2"),
            ("redis://[::1]:7000", "redis://[::1]:7000/0"),
            ("redis+sentinel://ada:secret@a,b:1/main", "redis+sentinel://a:26379,b:1/main/0"),
            (
                "rediss+sentinel://a/main/3?sentinel_user=s&sentinel_password=secret",
                "rediss+sentinel://a:26379/main/3",
            ),
            ("redis+cluster://:secret@a,b:7001/", "redis+cluster://a:6379,b:7001"),
            ("rediss+cluster://a/0", "rediss+cluster://a:6379"),
        ] {
            assert_eq!(parse(url).to_string(), printed);
            assert!(!format!("{:?}", parse(url)).contains("secret"));
        }
    }

    #[test]
    fn user_names_and_passwords_are_decoded_for_servers_and_for_sentinels() {
        let address = parse("redis+sentinel://a%40b:p%3A%2F%23@h/m?sentinel_password=s%26");
        let login = |user: Option<&str>, password: &str| Login {
            user: user.map(str::to_owned),
            password: Some(password.to_owned()),
        };
        assert_eq!(address.login, login(Some("a@b"), "p:/#"));
        assert_eq!(address.sentinel_login, login(None, "s&"));
        assert_eq!(parse("redis://:p@h").login, login(None, "p"));
    }

    #[test]
    fn what_is_no_url_is_refused_with_what_is_right_and_repeats_nothing() {
        for (bad, right) in [
            ("redis:secret", "redis://HOST:PORT"),
            ("valkey://secret", "redis://HOST:PORT"),
            ("redis+magic://secret", "redis+cluster://"),
            ("redis://:secret@h:notaport", "redis://HOST:PORT"),
            ("redis://:sec/ret@h", "%2F"),
            ("redis://h/secret", "redis://HOST/0"),
            ("redis://secret,b", "redis+sentinel://"),
            ("rediss://h/#secret", "certificates are always checked"),
            ("redis://h?protocol=secret", "sentinel_password"),
            ("redis+sentinel://secret", "/mymaster"),
            ("redis+cluster://secret/1", "/0"),
            ("redis://%ff:secret@h", "UTF-8"),
        ] {
            let refusal = RedisAddress::parse(bad).unwrap_err().to_string();
            assert!(refusal.contains(right) && !refusal.contains("secret"), "{bad}: {refusal}");
        }
    }
}
