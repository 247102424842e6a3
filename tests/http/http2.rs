//! HTTP/2 frame by frame (RFC 9113): what no ordinary client does at will, to reset one stream of a
//! connection that goes on.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use powd_testkit::wait::until_still;
use powd_testkit::{DEADLINE, Powd, oracle, until};
use serde_json::Value;

use crate::cancel::until_searches;
use crate::client::{HOPELESS, expect_solution, serve, status};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The setting that says how much may be sent on each stream at first.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The error code of who does not want the answer any more.
const CANCEL: u32 = 8;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A connection.
struct Http2 {
    stream: TcpStream,
    /// The bodies of answers, as far as they have come, by their streams.
    bodies: HashMap<u32, Vec<u8>>,
    /// What may still be sent, on each stream and, as stream 0, on all.
    windows: HashMap<u32, usize>,
    initial_window: usize,
}

impl Http2 {
    fn connect(address: SocketAddr) -> Http2 {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("above 0");
        let mut connection = Http2 {
            stream,
            bodies: HashMap::new(),
            windows: HashMap::from([(0, 65_535)]),
            initial_window: 65_535,
        };
        connection.stream.write_all(PREFACE).expect("it reads");
        connection.send(SETTINGS, 0, 0, b"");
        connection
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short one");
        let head = [
            &length.to_be_bytes()[1..],
            &[kind, flags],
            &stream.to_be_bytes(),
        ]
        .concat();
        // That the connection has ended is seen by who reads.
        let _ = self.stream.write_all(&[&head, payload].concat());
    }

    /// Posts a message to this path.
    fn post(&mut self, stream: u32, path: &str, body: &[u8]) {
        self.post_head(stream, path);
        self.send(DATA, END_STREAM, stream, body);
    }

    /// Only begins to post.
    fn post_head(&mut self, stream: u32, path: &str) {
        // From the static table of HPACK (RFC 7541): the method POST and the scheme http whole, the
        // names of the path and the authority.
        let literal = |index: u8, value: &str| {
            let length = u8::try_from(value.len()).expect("a short one");
            [&[index, length], value.as_bytes()].concat()
        };
        self.windows.insert(stream, self.initial_window);
        let block = [vec![0x83, 0x86], literal(4, path), literal(1, "powd")].concat();
        self.send(HEADERS, END_HEADERS, stream, &block);
    }

    /// Sends data where it is allowed to be sent; whether it was.
    fn try_data(&mut self, stream: u32, data: &[u8]) -> bool {
        let has_room = |stream| self.windows[&stream] >= data.len();
        let is_allowed = has_room(0) && has_room(stream);
        if is_allowed {
            for stream in [0, stream] {
                *self.windows.get_mut(&stream).expect("it was begun") -= data.len();
            }
            self.send(DATA, 0, stream, data);
        }
        is_allowed
    }

    /// Asks whether it is there. When it answers, it has read everything that was sent before.
    fn ping(&mut self) {
        self.try_ping().unwrap_or_else(|why| panic!("{why}"));
    }

    fn try_ping(&mut self) -> Result<(), String> {
        self.send(PING, 0, 0, b"anybody?");
        self.try_until(|frame| frame.kind == PING && frame.flags & ACK != 0)
    }

    fn reset(&mut self, stream: u32) {
        self.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }

    fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
            payload,
        })
    }

    /// Takes in frames until one that is wanted.
    fn until(&mut self, is_wanted: impl Fn(&Frame) -> bool) {
        let taken = self.try_until(is_wanted);
        taken.unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same; why there is none.
    fn try_until(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Result<(), String> {
        loop {
            let frame = self.frame();
            let frame = frame.map_err(|error| format!("no frame in time: {error}"))?;
            let is_last = is_wanted(&frame);
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    for setting in frame.payload.chunks_exact(6) {
                        if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                            self.initial_window = number(&setting[2..]);
                        }
                    }
                    self.send(SETTINGS, ACK, 0, b"");
                }
                WINDOW_UPDATE => {
                    *self.windows.entry(frame.stream).or_default() += number(&frame.payload);
                }
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload),
                DATA => {
                    let body = self.bodies.entry(frame.stream).or_default();
                    body.extend(frame.payload);
                }
                GOAWAY => return Err(format!("it ends the connection: {:?}", frame.payload)),
                RST_STREAM => return Err(format!("it resets stream {}", frame.stream)),
                _ => {}
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Reads until the answer on this stream is whole; its body.
    fn answer(&mut self, stream: u32) -> Vec<u8> {
        let answer = self.try_answer(stream);
        answer.unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_answer(&mut self, stream: u32) -> Result<Vec<u8>, String> {
        self.try_until(|frame| {
            let is_of_answer = matches!(frame.kind, DATA | HEADERS) && frame.stream == stream;
            is_of_answer && frame.flags & END_STREAM != 0
        })?;
        Ok(self.bodies.remove(&stream).unwrap_or_default())
    }

    /// Posts to a path that answers with a problem, and sends the body when that is known. The code
    /// of the problem.
    fn post_late(&mut self, stream: u32, path: &str) -> Result<String, String> {
        self.post_head(stream, path);
        // By now it knows the answer.
        self.try_ping()?;
        self.send(DATA, END_STREAM, stream, b"x");
        let problem: Value = serde_json::from_slice(&self.try_answer(stream)?).expect("JSON");
        let code = problem["code"].as_str();
        Ok(code.unwrap_or_else(|| panic!("{problem}")).to_owned())
    }

    fn expect_solution(&mut self, stream: u32, message: &str, difficulty: u8) {
        let answer = self.answer(stream);
        let answer = serde_json::from_slice(&answer).expect("JSON");
        expect_solution(&answer, message, difficulty);
    }
}

fn number(bytes: &[u8]) -> usize {
    let bytes = bytes.try_into().expect("four bytes");
    u32::from_be_bytes(bytes) as usize
}

fn cancelled(powd: &Powd) -> u64 {
    status(powd, "/searches_cancelled")
}

#[test]
fn a_stream_that_is_reset_ends_its_search_and_no_other() {
    let powd = serve(&[]);
    let mut http = Http2::connect(powd.door("http"));
    let hopeless = format!("/v1/solve?difficulty={HOPELESS}");
    for stream in [1, 3] {
        http.post(stream, &hopeless, b"hard");
    }
    until_searches(&powd, 2);
    http.reset(1);
    until_searches(&powd, 1);
    assert_eq!(cancelled(&powd), 1);
    // The connection serves on.
    http.post(5, "/v1/solve?difficulty=1", b"easy");
    http.expect_solution(5, "easy", 1);
    until_searches(&powd, 1);
    http.reset(3);
    until_searches(&powd, 0);
    assert_eq!(cancelled(&powd), 2);
    powd.until_quiet();
    http.post(7, "/v1/solve?difficulty=1", b"again");
    http.expect_solution(7, "again", 1);
}

#[test]
fn a_batch_streams_both_ways() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http2::connect(powd.door("http"));
    http.post_head(1, "/v1/batch");
    for message in ["one", "two", "three"] {
        http.send(DATA, 0, 1, format!("{message}\n").as_bytes());
        http.until(|frame| frame.kind == DATA);
        let line = http.bodies.remove(&1).expect("an answer");
        let line = line.strip_suffix(b"\n").expect("a line");
        oracle::check(line, message.as_bytes(), 1);
    }
    http.send(DATA, END_STREAM, 1, b"");
    assert!(http.answer(1).is_empty());
}

#[test]
fn a_batch_whose_stream_is_reset_ends() {
    let powd = serve(&[]);
    let mut http = Http2::connect(powd.door("http"));
    let hopeless = format!("/v1/batch?difficulty={HOPELESS}");
    http.post(1, &hopeless, b"a\nb\nc");
    until_searches(&powd, 3);
    http.reset(1);
    until_searches(&powd, 0);
    assert_eq!(cancelled(&powd), 3);
    http.post(3, "/v1/solve?difficulty=1", b"easy");
    http.expect_solution(3, "easy", 1);
}

#[test]
fn what_the_batches_of_a_connection_have_under_way_is_bounded() {
    const BATCHES: usize = 100;
    // Far fewer than one batch alone may have under way, and 40 MB in all.
    const MESSAGES: usize = 50;
    let powd = serve(&["--workers", "1"]);
    let mut http = Http2::connect(powd.door("http"));
    http.ping();
    let streams = (0..BATCHES as u32).map(|number| 2 * number + 1);
    for stream in streams.clone() {
        http.post_head(stream, &format!("/v1/batch?difficulty={HOPELESS}"));
    }
    let message = [&[b'x'; 8000][..], b"\n"].concat();
    let mut left: HashMap<u32, usize> = streams.map(|stream| (stream, MESSAGES)).collect();
    let (mut sent, mut begun) = (0, 0);
    until_still("the end of its reading", || {
        for (&stream, left) in &mut left {
            if *left > 0 && http.try_data(stream, &message) {
                *left -= 1;
                sent += message.len();
            }
        }
        // By then it has told what more it takes.
        http.ping();
        begun = status(&powd, "/doors/1/requests");
        Some((sent, begun))
    });
    // Each of them has something under way, whatever the others have.
    until_searches(&powd, begun);
    assert!(begun >= BATCHES as u64, "{begun} messages under way");
    assert!(sent < 10 << 20, "{sent} bytes were taken");
}

/// There are clients that lose their answer when they are cut off while they send.
#[test]
fn who_still_sends_is_not_cut_off() {
    // A body is waited for for a second, which a slow machine may need to get here: so more than
    // one try.
    let powd = serve(&["-d", "1"]);
    until("an answer to each, over one connection", || {
        let mut http = Http2::connect(powd.door("http"));
        let codes = [
            (1, "/v1/nothing", "not-found"),
            (3, "/v1/solve?nonsense=1", "malformed"),
            (5, "/openapi.json", "method"),
        ];
        let mut codes = codes.into_iter();
        codes.all(|(stream, path, code)| http.post_late(stream, path).as_deref() == Ok(code))
            && http.try_ping().is_ok()
    });

    let strange = serve(&["--allow", "192.0.2.0/24"]);
    until("a refusal, and no word of the end before it", || {
        let mut http = Http2::connect(strange.door("http"));
        http.post_late(1, "/v1/solve").as_deref() == Ok("denied")
    });
}
