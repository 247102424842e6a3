//! `powd health`: whether a service is ready, for images without a shell.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Error;
use super::endpoint::Endpoint;
use crate::sockets::Address;

/// How long a service may take to be connected to, and as long to answer. One that is saturated
/// answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A status line is some twenty bytes.
const STATUS_LINE_MAX: usize = 1024;

/// Asks a service whether it is ready; exit code 0: it is; 1: it is not, or does not answer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin address of the service: ADDR:PORT, NAME:PORT or unix:PATH; or http://HOST:PORT
    /// with or without a path (by default /readyz). In the container of a service it need not be
    /// given: that has the variable set. 0.0.0.0 and [::] mean this machine.
    #[arg(env = "POWD_ADMIN", value_name = "URL")]
    url: Url,
}

/// What is asked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    endpoint: Endpoint,
    /// The endpoint as typed.
    host: String,
    path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Url, String> {
        let wrong =
            || "expected ADDR:PORT, unix:PATH or http://HOST:PORT/PATH: 127.0.0.1:9100".to_owned();
        if text.starts_with("unix:") {
            return Ok(Url {
                endpoint: text.parse().map_err(|_| wrong())?,
                host: text.to_owned(),
                path: "/readyz".to_owned(),
            });
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let (host, path) = match rest.split_once('/') {
            Some((host, "")) => (host, "/readyz".to_owned()),
            Some((host, path)) => (host, format!("/{path}")),
            None => (rest, "/readyz".to_owned()),
        };
        let is_sound = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sound(host) || !is_sound(&path) {
            return Err(wrong());
        }
        Ok(Url {
            endpoint: host.parse().map_err(|_| wrong())?,
            host: host.to_owned(),
            path,
        })
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let Url {
        endpoint,
        host,
        path,
    } = &args.url;
    let asked = ask(endpoint.addresses()?, &args.url);
    let answer = asked.map_err(|error| Error::Failed(format!("no answer from {host}: {error}")))?;
    let mut words = answer.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next() {
        Some("200") if is_http => Ok(ExitCode::SUCCESS),
        Some(status) if is_http => Err(Error::Failed(format!(
            "{host} is not ready: {path} answers {status}"
        ))),
        _ => Err(Error::Failed(format!("{host} does not speak HTTP"))),
    }
}

/// The first line of the answer, from the first address that somebody listens on.
fn ask(addresses: Vec<Address>, url: &Url) -> io::Result<String> {
    let mut last = io::Error::other("it has no address");
    for address in addresses {
        match connect(&address) {
            Ok(stream) => return ask_on(stream, url),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect(address: &Address) -> io::Result<Socket> {
    let stream: Socket = match address {
        Address::Tcp(address) => TcpStream::connect_timeout(&reachable(*address), PATIENCE)?.into(),
        Address::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A full queue is waited for as long as a write may take (socket(7), SO_SNDTIMEO).
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect(&SockAddr::unix(path)?)?;
            socket
        }
    };
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask_on(
    mut stream: Socket,
    Url {
        endpoint,
        host,
        path,
    }: &Url,
) -> io::Result<String> {
    let host = match endpoint {
        // It has no name, and HTTP wants one.
        Endpoint::File(_) => "localhost",
        Endpoint::Address(_) | Endpoint::Name(_) => host,
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    read_line(&mut stream)
}

/// Its first line, however the stream goes on.
fn read_line(stream: &mut Socket) -> io::Result<String> {
    let until = Instant::now() + PATIENCE;
    let (mut line, mut buffer) = (Vec::new(), [0; STATUS_LINE_MAX]);
    while line.len() < STATUS_LINE_MAX && !line.contains(&b'\n') {
        let left = until.saturating_duration_since(Instant::now());
        let read = match left.is_zero() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => stream
                .set_read_timeout(Some(left))
                .and_then(|()| stream.read(&mut buffer)),
        };
        match read {
            Ok(0) => break,
            Ok(length) => line.extend(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let told = format!("it says nothing for {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            Err(error) => return Err(error),
        }
    }
    let line = String::from_utf8_lossy(&line);
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

/// Where a service that listens on all interfaces is found.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_asked_whether_it_is_ready() {
        let parsed = |text: &str| text.parse::<Url>().map(|url| (url.host, url.path));
        let of = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        assert_eq!(parsed("127.0.0.1:9100"), of("127.0.0.1:9100", "/readyz"));
        assert_eq!(parsed("http://[::1]:9100/"), of("[::1]:9100", "/readyz"));
        assert_eq!(parsed("http://a:1/livez"), of("a:1", "/livez"));
        assert_eq!(parsed("unix:/run/x"), of("unix:/run/x", "/readyz"));
        for wrong in [
            "",
            "9100",
            "host",
            ":9100",
            "https://a:1",
            "a:99999",
            "a b:1",
            "a:1/x y",
            "unix:",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn all_interfaces_are_this_machine() {
        let reach = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(reach("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reach("[::]:1"), "[::1]:1");
        assert_eq!(reach("10.0.0.1:1"), "10.0.0.1:1");
    }
}
