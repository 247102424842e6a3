//! A client of NATS on a plain socket: it shows every byte, and shares no code with powd's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use powd_testkit::DEADLINE;

/// A connection to the broker.
pub(crate) struct Nats {
    reader: BufReader<TcpStream>,
    subscriptions: u64,
    inboxes: u64,
}

/// What came on a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) reply: Option<String>,
    headers: String,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// Expects an error of a micro service.
    pub(crate) fn expect_error(&self, status: &str, code: &str) {
        let text = self.header("Nats-Service-Error").unwrap_or_default();
        assert_eq!(
            (self.header("Nats-Service-Error-Code"), self.payload.len()),
            (Some(status), 0),
            "{self:?}"
        );
        assert!(text.starts_with(&format!("{code} ")), "{self:?}");
    }
}

impl Nats {
    pub(crate) fn connect(address: SocketAddr) -> Nats {
        let mut nats = Nats::open(address);
        nats.send(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
        nats.flush();
        nats
    }

    /// A connection on which the broker waits for the first word.
    pub(crate) fn open(address: SocketAddr) -> Nats {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("above 0");
        let mut nats = Nats {
            reader: BufReader::new(stream),
            subscriptions: 0,
            inboxes: 0,
        };
        let info = nats.line();
        assert!(info.starts_with("INFO "), "{info}");
        nats
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("it reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line in time");
        assert!(line.ends_with("\r\n"), "the broker hung up: {line:?}");
        line.truncate(line.len() - 2);
        line
    }

    /// Waits until the broker has taken in everything so far. No message may be on its way.
    pub(crate) fn flush(&mut self) {
        self.send(b"PING\r\n");
        loop {
            match &*self.line() {
                "PONG" => return,
                // The broker asks, too: for the first time a second after the connection.
                "PING" => self.send(b"PONG\r\n"),
                line => panic!("the broker says {line:?}"),
            }
        }
    }

    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.subscriptions += 1;
        self.send(format!("SUB {subject} {}\r\n", self.subscriptions).as_bytes());
    }

    pub(crate) fn publish(&mut self, subject: &str, payload: &[u8]) {
        let head = format!("PUB {subject} {}\r\n", payload.len());
        self.send(&[head.as_bytes(), payload, b"\r\n"].concat());
    }

    /// Publishes what a stream keeps, and waits until it does. What goes to two streams comes to
    /// each in its own time.
    pub(crate) fn store(&mut self, subject: &str, payload: &[u8]) {
        let answer = self.request(subject, &[], payload).text();
        assert!(answer.contains("\"seq\":"), "{answer}");
    }

    /// Publishes what is to be answered on any subject.
    pub(crate) fn publish_for(&mut self, subject: &str, reply: &str, payload: &[u8]) {
        let head = format!("PUB {subject} {reply} {}\r\n", payload.len());
        self.send(&[head.as_bytes(), payload, b"\r\n"].concat());
    }

    /// Asks, with these header lines; the answer comes to the subject that is returned.
    pub(crate) fn ask(&mut self, subject: &str, headers: &[&str], payload: &[u8]) -> String {
        self.inboxes += 1;
        let local = self.reader.get_ref().local_addr().expect("connected");
        let inbox = format!("_INBOX.{}.{}", local.port(), self.inboxes);
        self.subscribe(&inbox);
        let mut block = "NATS/1.0\r\n".to_owned();
        for header in headers {
            block += &format!("{header}\r\n");
        }
        block += "\r\n";
        let sizes = format!("{} {}", block.len(), block.len() + payload.len());
        let head = format!("HPUB {subject} {inbox} {sizes}\r\n");
        self.send(&[head.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat());
        inbox
    }

    /// Asks, and waits for the answer.
    pub(crate) fn request(&mut self, subject: &str, headers: &[&str], payload: &[u8]) -> Message {
        let inbox = self.ask(subject, headers, payload);
        self.wait_for(|message| message.subject == inbox)
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Message {
        loop {
            let line = self.line();
            let words: Vec<&str> = line.split(' ').collect();
            let number = |word: &str| word.parse::<usize>().expect("a length");
            let (subject, reply, headers, bytes) = match words[..] {
                ["MSG", subject, _, bytes] => (subject, None, 0, number(bytes)),
                ["MSG", subject, _, reply, bytes] => (subject, Some(reply), 0, number(bytes)),
                ["HMSG", subject, _, headers, bytes] => {
                    (subject, None, number(headers), number(bytes))
                }
                ["HMSG", subject, _, reply, headers, bytes] => {
                    (subject, Some(reply), number(headers), number(bytes))
                }
                ["PING"] => {
                    self.send(b"PONG\r\n");
                    continue;
                }
                // To who has not said that it wants no word on each line.
                ["+OK"] => continue,
                _ => panic!("the broker says {line:?}"),
            };
            let mut body = vec![0; bytes + 2];
            self.reader.read_exact(&mut body).expect("it comes whole");
            return Message {
                subject: subject.to_owned(),
                reply: reply.map(str::to_owned),
                headers: String::from_utf8_lossy(&body[..headers]).into_owned(),
                payload: body[headers..bytes].to_vec(),
            };
        }
    }

    /// The next message that is wanted; others are passed over.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.next();
            if wanted(&message) {
                return message;
            }
        }
    }
}
