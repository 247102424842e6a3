//! Where one request ends and the next begins.
//!
//! Pure functions of bytes: no sockets, no buffers of their own. Any split of a stream into reads gives
//! the same requests, which the property tests hold it to.

/// How requests are cut from the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A request ends at `\n`.
    Lines,
    /// A request is what one read returned, without its `\n`s: the habit of the original server.
    Reads,
}

/// What stands at the front of the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole message of `length` bytes; `taken` bytes belong to its request, the `\n` included.
    Message {
        /// Bytes of the message.
        length: usize,
        /// Bytes of the request.
        taken: usize,
    },
    /// The beginning of a message, or nothing.
    Incomplete,
    /// A message longer than allowed, whole or not.
    TooLong,
}

/// Cuts lines. Remembers how far it looked, so that a line that arrives byte by byte is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCutter {
    looked_at: usize,
}

impl LineCutter {
    /// Looks for one message of at most `max` bytes at the front of `bytes`.
    ///
    /// Between calls bytes may only be added at the end, until a message is taken: then `bytes` must
    /// begin behind it. With `ended`, no more bytes will come, and a last line without `\n` is a message.
    pub fn cut(&mut self, bytes: &[u8], ended: bool, max: usize) -> Cut {
        // One byte more than a message: its `\n`, or the proof that it is too long.
        let window = &bytes[..bytes.len().min(max + 1)];
        let found = memchr::memchr(b'\n', &window[self.looked_at..]);
        match found.map(|offset| self.looked_at + offset) {
            Some(length) => {
                self.looked_at = 0;
                Cut::Message {
                    length,
                    taken: length + 1,
                }
            }
            None if window.len() > max => Cut::TooLong,
            None if ended && !window.is_empty() => {
                self.looked_at = 0;
                Cut::Message {
                    length: window.len(),
                    taken: window.len(),
                }
            }
            None => {
                self.looked_at = window.len();
                Cut::Incomplete
            }
        }
    }
}

/// Takes every `\n` out of `bytes`, in place; returns how many bytes are left, at the front.
pub fn without_newlines(bytes: &mut [u8]) -> usize {
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
    use super::*;
    use proptest::prelude::*;

    /// The messages of a stream, and whether it ended in one that is too long: by splitting, all at once.
    fn expected(stream: &[u8], max: usize) -> (Vec<Vec<u8>>, bool) {
        let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
        if lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        let good = lines.iter().take_while(|line| line.len() <= max).count();
        let messages = lines[..good].iter().map(|line| line.to_vec()).collect();
        (messages, good < lines.len())
    }

    /// The same by a cutter that gets the stream in pieces.
    fn in_pieces(stream: &[u8], cuts: &[usize], max: usize) -> (Vec<Vec<u8>>, bool) {
        let (mut cutter, mut buffer, mut messages) =
            (LineCutter::default(), Vec::new(), Vec::new());
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.extend([0, stream.len()]);
        ends.sort_unstable();
        for (piece, ended) in ends
            .windows(2)
            .map(|w| (&stream[w[0]..w[1]], w[1] == stream.len()))
        {
            buffer.extend_from_slice(piece);
            loop {
                match cutter.cut(&buffer, ended, max) {
                    Cut::Message { length, taken } => {
                        messages.push(buffer[..length].to_vec());
                        buffer.drain(..taken);
                    }
                    Cut::Incomplete => break,
                    Cut::TooLong => return (messages, true),
                }
            }
        }
        assert!(buffer.is_empty(), "an ended stream leaves nothing behind");
        (messages, false)
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(0), 6 => any::<u8>()];
        proptest::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            stream in streams(),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
            max in 0usize..40,
        ) {
            prop_assert_eq!(in_pieces(&stream, &cuts, max), expected(&stream, max));
        }

        #[test]
        fn newlines_are_taken_out_and_nothing_else(stream in streams()) {
            let mut bytes = stream.clone();
            let kept = without_newlines(&mut bytes);
            let expected: Vec<u8> = stream.into_iter().filter(|&byte| byte != b'\n').collect();
            prop_assert_eq!(&bytes[..kept], &expected[..]);
        }
    }

    #[test]
    fn the_longest_message_passes_and_one_byte_more_does_not() {
        let mut cutter = LineCutter::default();
        assert_eq!(cutter.cut(b"12345", false, 5), Cut::Incomplete);
        assert_eq!(
            cutter.cut(b"12345\n", false, 5),
            Cut::Message {
                length: 5,
                taken: 6
            }
        );
        assert_eq!(
            cutter.cut(b"12345", true, 5),
            Cut::Message {
                length: 5,
                taken: 5
            }
        );
        assert_eq!(cutter.cut(b"123456", false, 5), Cut::TooLong);
        assert_eq!(cutter.cut(b"123456\n", false, 5), Cut::TooLong);
        assert_eq!(cutter.cut(b"", true, 5), Cut::Incomplete);
    }
}
