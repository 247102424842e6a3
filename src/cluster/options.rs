//! What a member is told at its start.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::ServerAddr;
use powd_core::Difficulty;

/// Everything that a member is told.
#[derive(Clone)]
pub struct Options {
    /// The broker, by each of its addresses.
    pub servers: Vec<Server>,
    /// The text of a credentials file, which proves who this is.
    pub credentials: Option<Credentials>,
    /// What the cluster is called: the first token of all subjects.
    pub name: Name,
    /// The difficulty of requests that do not say one.
    pub difficulty: Difficulty,
    /// The highest difficulty that can be asked for.
    pub max_difficulty: Difficulty,
    /// The longest search.
    pub deadline: Option<Duration>,
}

/// Secrets stay out of logs.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("max_difficulty", &self.max_difficulty)
            .finish_non_exhaustive()
    }
}

/// Where a broker is: `nats://HOST:PORT`, or `tls://` where it must be encrypted.
#[derive(Clone)]
pub struct Server(ServerAddr);

/// Why a text is no [`Server`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected nats://HOST:PORT, tls://HOST:PORT or HOST:PORT: {0}")]
pub struct ServerError(String);

impl Server {
    pub(super) fn address(&self) -> ServerAddr {
        self.0.clone()
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Server, ServerError> {
        // Checked before the address is parsed: with such a character the parser would complain
        // about the port.
        let user = text.rsplit_once('@').map_or("", |(before, _)| before);
        let user = user.split_once("://").map_or(user, |(_, user)| user);
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        if !user.chars().chain(password.chars()).all(is_plain) {
            return Err(ServerError(
                "its user, password or token has other characters than letters, digits and -._~: \
                 take another one, or --nats-creds"
                    .to_owned(),
            ));
        }
        let address = text.parse::<ServerAddr>();
        let address = address.map_err(|error| ServerError(error.to_string()))?;
        if address.host().is_empty() {
            return Err(ServerError("it has no host".to_owned()));
        }
        match address.scheme() {
            "nats" | "tls" => Ok(Server(address)),
            other => Err(ServerError(format!("{other}:// is not spoken here"))),
        }
    }
}

/// Whether a character means nothing else in any part of a URL (RFC 3986, section 2.3), nor
/// between the values of a flag: others would have to be encoded and decoded.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~".contains(character)
}

/// Without a password, which an address can have.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.host(), self.0.port())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The text of a credentials file, as `nsc` makes it.
#[derive(Clone)]
pub struct Credentials(String);

/// Why a text is not a credentials file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a credentials file, as nsc makes them: {0}")]
pub struct CredentialsError(String);

impl Credentials {
    /// Those of a file's text.
    ///
    /// # Errors
    ///
    /// When it has no user or no seed in it.
    pub fn parse(text: String) -> Result<Credentials, CredentialsError> {
        let options = async_nats::ConnectOptions::new().credentials(&text);
        options.map_err(|error| CredentialsError(error.to_string()))?;
        Ok(Credentials(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The name of a cluster: 1 to 32 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 32 letters, digits, - and _: powd")]
pub struct NameError;

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Name {
        Name("powd".to_owned())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = (1..=32).contains(&text.len()) && text.bytes().all(is_taken);
        is_name.then(|| Name(text.to_owned())).ok_or(NameError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_token_of_a_subject() {
        for name in ["powd", "a", "My_cluster-2"] {
            assert_eq!(name.parse::<Name>().as_ref().map(Name::as_str), Ok(name));
        }
        for wrong in ["", "a.b", "a b", "*", ">", "ä", &"a".repeat(33)] {
            assert_eq!(wrong.parse::<Name>(), Err(NameError), "{wrong:?}");
        }
    }

    #[test]
    fn brokers_are_named_with_or_without_a_scheme_and_passwords_are_not_shown() {
        let shown = |text: &str| text.parse::<Server>().ok().map(|server| server.to_string());
        assert_eq!(shown("nats://one:4222").as_deref(), Some("one:4222"));
        assert_eq!(shown("tls://one:1").as_deref(), Some("one:1"));
        assert_eq!(shown("one").as_deref(), Some("one:4222"));
        assert_eq!(shown("nats://me:secret@one").as_deref(), Some("one:4222"));
        for wrong in [
            "",
            "http://one",
            "nats://",
            "nats://one:x",
            "wss://one",
            "nats://me:a b@one",
        ] {
            assert_eq!(shown(wrong), None, "{wrong:?}");
        }
        assert_eq!(shown("my-user:a.b_c~1@one").as_deref(), Some("one:4222"));
        for character in "%#/?@:, \\é\"".chars() {
            for secret in [
                format!("me:pa{character}ss"),
                format!("to{character}{character}ken"),
            ] {
                let error = format!("nats://{secret}@one").parse::<Server>().err();
                let told = error.map_or_else(String::new, |error| error.to_string());
                assert!(told.contains("--nats-creds"), "{secret} {told:?}");
            }
        }
    }
}
