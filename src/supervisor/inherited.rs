//! Sockets that the supervisor has opened: sd_listen_fds(3).

use std::io;

use listenfd::ListenFd;
use powd_core::Difficulty;
use socket2::Socket;

use crate::sockets::Listener;

/// The sockets handed over, by their names (`FileDescriptorName=`).
#[derive(Debug, Default)]
pub struct Inherited {
    /// Those of the line protocol, which have any other name; a difficulty where the name ends with
    /// `@N`.
    pub line: Vec<(Listener, Option<Difficulty>)>,
    /// Those named `http`.
    pub http: Vec<Listener>,
    /// Those named `admin`.
    pub admin: Vec<Listener>,
}

/// Why a socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the socket {name} that was handed over: {source}")]
pub struct InheritError {
    /// What the supervisor calls it.
    pub name: String,
    /// What is wrong with it.
    pub source: io::Error,
}

impl Inherited {
    /// Takes them. To be called before there are threads, and once: what tells of them is taken out
    /// of the environment.
    ///
    /// # Errors
    ///
    /// When one is no listening stream socket.
    pub fn take() -> Result<Inherited, InheritError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed_over = ListenFd::from_env();
        let mut inherited = Inherited::default();
        let mut names = names.split(':');
        for place in 0..handed_over.len() {
            let name = names.next().filter(|name| !name.is_empty());
            let name = name.map_or_else(|| place.to_string(), str::to_owned);
            let listener = socket(&mut handed_over, place).and_then(Listener::inherit);
            match listener {
                Ok(listener) => inherited.add(&name, listener),
                Err(source) => return Err(InheritError { name, source }),
            }
        }
        Ok(inherited)
    }

    fn add(&mut self, name: &str, listener: Listener) {
        match name {
            "http" => self.http.push(listener),
            "admin" => self.admin.push(listener),
            _ => self.line.push((listener, difficulty(name))),
        }
    }
}

/// The socket at that place, of TCP or of a file.
fn socket(handed_over: &mut ListenFd, place: usize) -> io::Result<Socket> {
    if let Ok(Some(listener)) = handed_over.take_tcp_listener(place) {
        return Ok(listener.into());
    }
    let listener = handed_over.take_unix_listener(place)?;
    let listener = listener.ok_or_else(|| io::Error::other("it is not there"))?;
    Ok(listener.into())
}

/// The difficulty at the end of a name, `line@6`. Names of unit files may have an `@`, too.
fn difficulty(name: &str) -> Option<Difficulty> {
    let (_, nibbles) = name.rsplit_once('@')?;
    nibbles.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_end_with_a_difficulty() {
        let nibbles = |name| difficulty(name).map(Difficulty::nibbles);
        assert_eq!(nibbles("line@6"), Some(6));
        for none in ["line", "powd.socket", "powd@6.socket", "powd@", "powd@65"] {
            assert_eq!(nibbles(none), None, "{none}");
        }
    }
}
