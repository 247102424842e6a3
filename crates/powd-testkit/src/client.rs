//! A client of the line protocol, and what it sends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::{DEADLINE, oracle};

/// One connection, with a deadline on every read and write.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// A new connection.
    pub fn connect(address: SocketAddr) -> Client {
        Client::new(TcpStream::connect(address).expect("powd listens"))
    }

    /// One that takes little at a time: its window has about so many bytes.
    pub fn connect_narrow(address: SocketAddr, window: usize) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a descriptor is free");
        let set = socket.set_recv_buffer_size(window);
        set.expect("a size it allows");
        socket.connect(&address.into()).expect("powd listens");
        Client::new(socket.into())
    }

    /// On a connection that is open.
    pub fn new(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        Client {
            stream: BufReader::with_capacity(65536, stream),
        }
    }

    /// Its socket.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Its socket; what it has read ahead is lost.
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// Sends bytes as they are, with one write.
    pub fn send(&self, bytes: &[u8]) {
        self.stream().write_all(bytes).expect("powd takes bytes");
    }

    /// Ends the stream to powd; the other direction stays open.
    pub fn end(&self) {
        self.stream()
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
    }

    /// Ends the connection in both directions with a reset: what was sent and not yet taken in is
    /// thrown away on both sides, and there is nobody left to answer. Dropped, a client may be one
    /// that has only ended its stream.
    pub fn reset(self) {
        let stream = self.into_stream();
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a TCP socket");
    }

    /// The next line without its `\n`; none at the end of the stream, which must not cut a line in
    /// half.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.stream
            .read_until(b'\n', &mut line)
            .expect("a line or the end of the stream, and in time");
        if line.is_empty() {
            return None;
        }
        assert_eq!(
            line.pop(),
            Some(b'\n'),
            "half a line at the end of the stream: {}",
            String::from_utf8_lossy(&line)
        );
        Some(line)
    }

    /// The next line without its `\n`.
    pub fn line(&mut self) -> Vec<u8> {
        self.next_line().expect("a line, not the end of the stream")
    }

    /// The next line, which must be an error line with that code.
    pub fn error(&mut self, code: &str) {
        let line = String::from_utf8(self.line()).expect("error lines are text");
        assert!(line.starts_with(&format!("ERR {code} ")), "{line:?}");
        assert!(!line.contains(','), "{line:?}");
    }

    /// The next line must be the right reply to `message`; its seed.
    pub fn reply(&mut self, message: &[u8], zeros: u8) -> Vec<u8> {
        let line = self.line();
        oracle::check(&line, message, zeros).seed.to_vec()
    }

    /// Sends one line and checks its reply.
    pub fn ask(&mut self, message: &[u8], zeros: u8) {
        self.send(&lines([message]));
        self.reply(message, zeros);
    }

    /// The stream must end here, at the end of a line.
    pub fn expect_end(&mut self) {
        let line = self.next_line();
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        assert_eq!(line, None, "more than was asked for");
    }

    /// Sends all messages, reading at the same time, and checks every reply.
    pub fn ask_all<M: AsRef<[u8]> + Sync>(&mut self, messages: &[M], zeros: u8) {
        let mut writer = self.stream().try_clone().expect("a descriptor is free");
        thread::scope(|scope| {
            scope.spawn(move || {
                for some in messages.chunks(1000) {
                    writer.write_all(&lines(some)).expect("powd takes bytes");
                }
            });
            for message in messages {
                self.reply(message.as_ref(), zeros);
            }
        });
    }
}

/// The messages as request lines.
pub fn lines<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(message.as_ref());
        bytes.push(b'\n');
    }
    bytes
}

/// `count` different short messages.
pub fn messages(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("message {number}"))
        .collect()
}
