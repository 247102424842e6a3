//! A client of HTTP/1.1 on a plain socket, with a deadline on every read, and `curl` for HTTP/2.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use powd_testkit::{DEADLINE, Powd, oracle, skip};
use serde_json::Value;

use crate::POWD;

/// What no search finds in the time of a test, on however many cores.
pub(crate) const HOPELESS: u8 = 20;

/// A service with both doors, which takes what is hopeless.
pub(crate) fn serve(flags: &[&str]) -> Powd {
    let hopeless = HOPELESS.to_string();
    serve_bounded(&[&["--max-difficulty", &hopeless], flags].concat())
}

/// The same, with powd's own bound of difficulties, which is 10, or with that of the flags.
pub(crate) fn serve_bounded(flags: &[&str]) -> Powd {
    let doors = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    POWD.serve(&[&doors[..], flags].concat())
}

/// A connection.
pub(crate) struct Http {
    reader: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What `curl --include` prints: the version of HTTP, and the answer.
    pub(crate) fn parse(whole: &[u8]) -> (String, Answer) {
        let end = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, body) = whole.split_at(end.expect("the end of the head") + 4);
        let head = String::from_utf8_lossy(head);
        let (first, lines) = head.split_once("\r\n").expect("a first line");
        let (version, answer) = Answer::begin(first, lines.lines());
        let body = body.to_vec();
        (version, Answer { body, ..answer })
    }

    /// From the first line of a head, and the others.
    fn begin<'a>(first: &str, lines: impl Iterator<Item = &'a str>) -> (String, Answer) {
        let mut words = first.split(' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let answer = Answer {
            status: status.unwrap_or_else(|| panic!("no status in {first:?}")),
            headers: headers.collect(),
            body: Vec::new(),
        };
        (version, answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Expects problem details with this status and code.
    pub(crate) fn expect_problem(&self, status: u16, code: &str) {
        let problem = self.json();
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        assert_eq!(
            (self.status, problem["status"].as_u64()),
            (status, Some(status.into()))
        );
        assert_eq!(problem["code"], code, "{problem}");
        let is_told = |field: &str| problem[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(is_told("title") && is_told("detail"), "{problem}");
    }

    /// Expects a right solution in JSON.
    pub(crate) fn expect_solution(&self, message: &str, difficulty: u8) {
        assert_eq!(self.status, 200, "{self:?}");
        expect_solution(&self.json(), message, difficulty);
    }
}

/// Expects that this JSON is a right solution.
pub(crate) fn expect_solution(solved: &Value, message: &str, difficulty: u8) {
    let text = |field: &str| solved[field].as_str().unwrap_or_else(|| panic!("{solved}"));
    assert_eq!(text("message"), message);
    assert_eq!(solved["difficulty"], difficulty);
    assert!(solved["hashes"].as_u64() >= Some(1), "{solved}");
    let line = format!("{message},{},{}", text("seed"), text("hash"));
    oracle::check(line.as_bytes(), message.as_bytes(), difficulty);
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Http {
        Http::over(TcpStream::connect(address).expect("it listens"))
    }

    pub(crate) fn over(stream: TcpStream) -> Http {
        stream.set_read_timeout(Some(DEADLINE)).expect("above 0");
        // What is sent in pieces comes in pieces, and at once.
        stream.set_nodelay(true).expect("a socket");
        Http {
            reader: BufReader::new(stream),
        }
    }

    /// To the API.
    pub(crate) fn to(powd: &Powd) -> Http {
        Http::connect(powd.door("http"))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("it reads");
    }

    /// Sends a request with these header lines.
    pub(crate) fn request(&mut self, request: &str, headers: &[&str], body: &[u8]) {
        let host = self.reader.get_ref().peer_addr().expect("connected");
        let mut head = format!("{request} HTTP/1.1\r\nHost: {host}\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
    }

    /// Sends a request, and reads its answer.
    pub(crate) fn ask(&mut self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.request(request, headers, body);
        self.answer()
    }

    /// The same on a connection that may have been closed; no answer if it has.
    pub(crate) fn try_ask(&mut self, request: &str, headers: &[&str]) -> Option<Answer> {
        let lines = headers.iter().map(|header| format!("{header}\r\n"));
        let lines: String = lines.collect();
        let head = format!("{request} HTTP/1.1\r\nHost: powd\r\n{lines}\r\n");
        let is_sent = self.try_send_all(head.as_bytes());
        is_sent.then(|| self.try_answer()).flatten()
    }

    /// Reads an answer, if the connection has not been closed.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let has_some = self.reader.fill_buf().is_ok_and(|some| !some.is_empty());
        has_some.then(|| self.answer())
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST {path}"), &[], body)
    }

    pub(crate) fn post_json(&mut self, path: &str, body: &str) -> Answer {
        let headers = ["Content-Type: application/json"];
        self.ask(&format!("POST {path}"), &headers, body.as_bytes())
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    /// Reads the head of an answer.
    pub(crate) fn head(&mut self) -> Answer {
        let first = self.line();
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty()));
        let lines: Vec<String> = lines.collect();
        Answer::begin(&first, lines.iter().map(String::as_str)).1
    }

    /// The next piece of an answer that comes in pieces; empty at its end.
    pub(crate) fn piece(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line(), 16).expect("the size of a piece");
        let mut piece = vec![0; size];
        self.reader.read_exact(&mut piece).expect("the piece");
        self.line();
        piece
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        match answer.header("content-length") {
            Some(length) => {
                answer.body = vec![0; length.parse().expect("a length")];
                self.reader.read_exact(&mut answer.body).expect("the body");
            }
            None if answer.header("transfer-encoding") == Some("chunked") => loop {
                let piece = self.piece();
                if piece.is_empty() {
                    break;
                }
                answer.body.extend(piece);
            },
            None => {}
        }
        answer
    }

    /// Ends its own direction.
    pub(crate) fn end(&mut self) {
        let _ = self.reader.get_ref().shutdown(Shutdown::Write);
    }

    pub(crate) fn set_nonblocking(&mut self, nonblocking: bool) {
        let set = self.reader.get_ref().set_nonblocking(nonblocking);
        set.expect("a socket");
    }

    /// Sends what there is room for; the number of bytes.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> usize {
        self.reader.get_mut().write(bytes).unwrap_or(0)
    }

    /// Sends all of it; whether the other side took it.
    pub(crate) fn try_send_all(&mut self, bytes: &[u8]) -> bool {
        self.reader.get_mut().write_all(bytes).is_ok()
    }

    /// Sends the same again and again, until the other side has had enough.
    pub(crate) fn send_until_refused(&mut self, bytes: &[u8]) {
        for _ in 0..10_000 {
            if self.reader.get_mut().write_all(bytes).is_err() {
                return;
            }
        }
        panic!("it takes everything");
    }

    /// Expects that the other side closes, whatever it says before.
    pub(crate) fn expect_end(&mut self) {
        match self.reader.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            // A reset is an end too.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection does not end: {error}"),
        }
    }
}

/// Whether there is a `curl`, or a word about its absence.
pub(crate) fn has_curl() -> bool {
    let is_there = powd_testkit::is_there("curl");
    if !is_there {
        skip("curl is missing");
    }
    is_there
}

/// `curl` with these arguments, and `input` for `@-`.
pub(crate) fn curl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is a program");
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    assert!(
        output.status.success(),
        "curl {arguments:?}: {}",
        output.status
    );
    output.stdout
}

/// A field of `/status`.
pub(crate) fn status(powd: &Powd, pointer: &str) -> u64 {
    let status = Http::connect(powd.door("admin")).get("/status").json();
    let number = status.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("no {pointer} in {status}"))
}
