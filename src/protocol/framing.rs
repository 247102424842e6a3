//! Where one request ends and the next begins.

#[cfg(any(test, feature = "simulation"))]
pub mod definition;

/// How requests are told apart in the bytes of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A request ends at `\n`.
    #[default]
    Lines,
    /// The same, and one `\r` before the `\n` is no part of the message: telnet, Windows.
    Crlf,
    /// A request is what one read returned, without its `\n`s: the habit of the original server.
    Reads,
}

/// The original server reads this much at a time.
const READ_BYTES: usize = 8192;

impl Framing {
    /// The room that a request needs to be cut from, or to be seen as too long, when messages have
    /// up to `max` bytes.
    pub fn request_room(self, max: usize) -> usize {
        match self {
            Framing::Lines => max + 1,
            Framing::Crlf => max + 2,
            Framing::Reads => READ_BYTES,
        }
    }

    /// How many bytes one read may take.
    pub fn read_limit(self) -> usize {
        match self {
            Framing::Lines | Framing::Crlf => usize::MAX,
            Framing::Reads => READ_BYTES,
        }
    }
}

/// What stands at the front of the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole request of `taken` bytes, which begins with the `length` bytes of its message.
    Message {
        /// Bytes of the message.
        length: usize,
        /// Bytes of the request: those of the message and of the line's end.
        taken: usize,
    },
    /// The beginning of a request, or nothing.
    Incomplete,
    /// A message longer than allowed, whole or not.
    TooLong,
}

/// Cuts the requests of one connection from its bytes, which the caller keeps.
///
/// Each read goes through [`Cutter::received`], then [`Cutter::cut`] is called until no request is
/// whole. Between two calls bytes may only be added at the end, until a request is taken: then the
/// bytes must begin behind it.
#[derive(Clone, Copy, Debug)]
pub struct Cutter {
    framing: Framing,
    max: usize,
    progress: Progress,
}

#[derive(Clone, Copy, Debug)]
enum Progress {
    /// No `\n` is among the first so many bytes: a line that arrives byte by byte is looked at
    /// once.
    Line { looked_at: usize },
    /// The bytes that a read brought, until they are cut. They can be none: a read of nothing but
    /// `\n`.
    Read(Option<usize>),
}

impl Cutter {
    /// A cutter for a new connection, with messages of at most `max` bytes.
    pub fn new(framing: Framing, max: usize) -> Cutter {
        let progress = match framing {
            Framing::Lines | Framing::Crlf => Progress::Line { looked_at: 0 },
            Framing::Reads => Progress::Read(None),
        };
        Cutter {
            framing,
            max,
            progress,
        }
    }

    /// Takes note of what one read brought. Returns how many bytes of it are to be kept, at the
    /// front.
    pub fn received(&mut self, fresh: &mut [u8]) -> usize {
        match &mut self.progress {
            Progress::Line { .. } => fresh.len(),
            Progress::Read(_) if fresh.is_empty() => 0,
            Progress::Read(uncut) => {
                let kept = without_newlines(fresh);
                // Two reads before a cut are one.
                *uncut = Some(uncut.unwrap_or(0) + kept);
                kept
            }
        }
    }

    /// Looks for one request at the front of `bytes`. With `ended`, no more bytes will come, and a
    /// last line without `\n` is a message.
    pub fn cut(&mut self, bytes: &[u8], ended: bool) -> Cut {
        match self.progress {
            Progress::Line { looked_at } => self.cut_line(bytes, looked_at, ended),
            Progress::Read(uncut) => {
                self.progress = Progress::Read(None);
                match uncut {
                    Some(length) if length > self.max => Cut::TooLong,
                    Some(length) => Cut::Message {
                        length,
                        taken: length,
                    },
                    None => Cut::Incomplete,
                }
            }
        }
    }

    fn cut_line(&mut self, bytes: &[u8], looked_at: usize, ended: bool) -> Cut {
        // More than a message by its line's end, or the proof that it is too long.
        let window = &bytes[..bytes.len().min(self.framing.request_room(self.max))];
        let newline = memchr::memchr(b'\n', &window[looked_at..]).map(|offset| looked_at + offset);
        let (length, taken) = match newline {
            Some(at) => (self.without_return(&window[..at]), at + 1),
            None if ended && !window.is_empty() => (window.len(), window.len()),
            // A `\r` at the end may be the first half of a line's end.
            None if self.without_return(window) <= self.max => {
                self.progress = Progress::Line {
                    looked_at: window.len(),
                };
                return Cut::Incomplete;
            }
            None => return Cut::TooLong,
        };
        if length > self.max {
            return Cut::TooLong;
        }
        self.progress = Progress::Line { looked_at: 0 };
        Cut::Message { length, taken }
    }

    /// The length of a line without the `\r` that belongs to its end, where one can.
    fn without_return(&self, line: &[u8]) -> usize {
        let returns = self.framing == Framing::Crlf && line.last() == Some(&b'\r');
        line.len() - usize::from(returns)
    }
}

/// Takes every `\n` out of `bytes`, in place; returns how many bytes are left, at the front.
fn without_newlines(bytes: &mut [u8]) -> usize {
    let mut kept = 0;
    for at in 0..bytes.len() {
        if bytes[at] != b'\n' {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::definition::{cut, defined};
    use super::*;
    use proptest::prelude::*;

    /// `stream` in pieces, none of them empty.
    fn split<'a>(stream: &'a [u8], at: &[usize]) -> Vec<&'a [u8]> {
        let mut ends: Vec<usize> = at.iter().map(|at| at % (stream.len() + 1)).collect();
        ends.extend([0, stream.len()]);
        ends.sort_unstable();
        ends.dedup();
        ends.windows(2).map(|w| &stream[w[0]..w[1]]).collect()
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => Just(b'\n'), 2 => Just(b'\r'), 1 => Just(0), 5 => any::<u8>()];
        proptest::collection::vec(byte, 0..300)
    }

    fn splits() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(any::<usize>(), 0..20)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(stream in streams(), at in splits(), max in 0usize..40) {
            let whole = split(&stream, &[]);
            for framing in [Framing::Lines, Framing::Crlf] {
                let expected = defined(&whole, framing, max);
                prop_assert_eq!(cut(&split(&stream, &at), framing, max), expected, "{:?}", framing);
            }
        }

        #[test]
        fn each_read_is_a_message(stream in streams(), at in splits(), max in 0usize..400) {
            let pieces = split(&stream, &at);
            let expected = defined(&pieces, Framing::Reads, max);
            prop_assert_eq!(cut(&pieces, Framing::Reads, max), expected);
        }
    }

    /// What `bytes`, received at once, begin with.
    fn first(framing: Framing, max: usize, bytes: &[u8], ended: bool) -> Cut {
        let mut bytes = bytes.to_vec();
        let mut cutter = Cutter::new(framing, max);
        let kept = cutter.received(&mut bytes);
        cutter.cut(&bytes[..kept], ended)
    }

    fn message(length: usize, taken: usize) -> Cut {
        Cut::Message { length, taken }
    }

    #[test]
    fn the_longest_message_passes_and_one_byte_more_does_not() {
        use Cut::{Incomplete, TooLong};
        use Framing::{Crlf, Lines, Reads};
        for (framing, bytes, ended, expected) in [
            (Lines, &b""[..], true, Incomplete),
            (Lines, b"12345", false, Incomplete),
            (Lines, b"12345\n", false, message(5, 6)),
            (Lines, b"12345", true, message(5, 5)),
            (Lines, b"123456", false, TooLong),
            (Lines, b"123456\n", false, TooLong),
            (Lines, b"1234\r\n", false, message(5, 6)),
            (Crlf, b"", true, Incomplete),
            (Crlf, b"12345\r\n", false, message(5, 7)),
            (Crlf, b"12345\n", false, message(5, 6)),
            (Crlf, b"12345\r", false, Incomplete),
            (Crlf, b"123456", false, TooLong),
            (Crlf, b"123456\r\n", false, TooLong),
            (Crlf, b"12345\r\r\n", false, TooLong),
            (Crlf, b"1234\r\r\n", false, message(5, 7)),
            (Crlf, b"\r\n", false, message(0, 2)),
            // A `\r` without `\n` is a byte like any other.
            (Crlf, b"12\r34\n", false, message(5, 6)),
            (Crlf, b"1234\r", true, message(5, 5)),
            (Crlf, b"12345\r", true, TooLong),
            (Reads, b"", true, Incomplete),
            (Reads, b"12345", false, message(5, 5)),
            (Reads, b"\n1\n2345\n", false, message(5, 5)),
            (Reads, b"\n\n", false, message(0, 0)),
            (Reads, b"123456", false, TooLong),
        ] {
            let found = first(framing, 5, bytes, ended);
            let shown = bytes.escape_ascii();
            assert_eq!(found, expected, "{framing:?} {shown} {ended}");
        }
    }
}
