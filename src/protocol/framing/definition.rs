//! What a framing is, said once more and simply: which messages a stream is, seen as a whole.
//!
//! The tests of the [`Cutter`] and the fuzz target `protocol` compare it with this.

use super::{Cut, Cutter, Framing};

/// The messages of a stream, and whether one too long ended it.
pub type Messages = (Vec<Vec<u8>>, bool);

/// What a framing says of all reads at once; none of them is empty.
pub fn defined(reads: &[&[u8]], framing: Framing, max: usize) -> Messages {
    let whole = reads.concat();
    let messages: Vec<Vec<u8>> = match framing {
        Framing::Reads => {
            let kept = |read: &&[u8]| read.iter().copied().filter(|&byte| byte != b'\n').collect();
            reads.iter().map(kept).collect()
        }
        Framing::Lines | Framing::Crlf => {
            let lines = whole.split_inclusive(|&byte| byte == b'\n');
            let message = |line: &[u8]| match line.strip_suffix(b"\n") {
                Some(line) if framing == Framing::Crlf => {
                    line.strip_suffix(b"\r").unwrap_or(line).to_vec()
                }
                Some(line) => line.to_vec(),
                None => line.to_vec(),
            };
            lines.map(message).collect()
        }
    };
    let good = messages.iter().take_while(|message| message.len() <= max);
    let good = good.count();
    (messages[..good].to_vec(), good < messages.len())
}

/// The same by a [`Cutter`], as a connection uses it: it reads only when no request is whole, and
/// only into as much room as is promised to suffice.
///
/// # Panics
///
/// When that does not suffice, or when an ended stream leaves something behind.
pub fn cut(reads: &[&[u8]], framing: Framing, max: usize) -> Messages {
    let (mut cutter, mut buffer, mut messages) =
        (Cutter::new(framing, max), Vec::new(), Vec::new());
    for &read in reads.iter().chain(&[&b""[..]]) {
        let ended = read.is_empty();
        let mut rest = read;
        loop {
            let room = framing.request_room(max) - buffer.len();
            let (some, later) = rest.split_at(rest.len().min(room));
            assert_eq!(some.is_empty(), rest.is_empty(), "no room, and no request");
            rest = later;
            if !some.is_empty() {
                let before = buffer.len();
                buffer.extend_from_slice(some);
                let kept = cutter.received(&mut buffer[before..]);
                buffer.truncate(before + kept);
            }
            loop {
                match cutter.cut(&buffer, ended) {
                    Cut::Message { length, taken } => {
                        messages.push(buffer[..length].to_vec());
                        buffer.drain(..taken);
                    }
                    Cut::Incomplete => break,
                    Cut::TooLong => return (messages, true),
                }
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    assert!(buffer.is_empty(), "an ended stream leaves nothing behind");
    (messages, false)
}
