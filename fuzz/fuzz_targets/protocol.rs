//! The cutter against the definition of each framing: any bytes, arriving in any pieces, with any
//! limit, are the same messages; what comes back from a reply line is what went in; and what a
//! proxy's header is does not depend on how much has come behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use powd::protocol::{Cut, Cutter, Fault, Framing, ProxyHeader, Reply};
use powd_core::Difficulty;

/// The messages of a stream, and whether one too long ended it.
type Messages = (Vec<Vec<u8>>, bool);

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (max, sizes, stream) = input;
    let max = usize::from(max);
    let pieces = pieces(stream, &sizes);
    for framing in [Framing::Lines, Framing::Crlf, Framing::Reads] {
        assert_eq!(cut(&pieces, framing, max), defined(&pieces, framing, max));
    }

    // Whatever a line is, it is told what is wrong with it, and nothing panics.
    match Reply::parse(stream) {
        Ok(reply) => {
            let line = [reply.message, b",", reply.seed, b",", reply.hash].concat();
            assert_eq!(line, stream);
            // A right hash of 64 zeros would be news.
            assert!(reply.check(Difficulty::MAX).is_err());
        }
        Err(fault) => assert!(matches!(fault, Fault::Form | Fault::ErrorLine(_))),
    }

    headers(stream);
    // A fuzzer finds the first bytes of version 1 by itself, of 12 it has to be told.
    headers(&[&b"\r\n\r\n\0\r\nQUIT\n"[..], stream].concat());
});

/// Byte by byte: first it is incomplete, then it is what it stays.
fn headers(stream: &[u8]) {
    let mut known = ProxyHeader::Incomplete;
    for count in 0..=stream.len().min(2 * ProxyHeader::MAX) {
        let found = ProxyHeader::of(&stream[..count]);
        if known != ProxyHeader::Incomplete {
            assert_eq!(found, known);
        }
        if let ProxyHeader::Whole { length, .. } = found {
            assert!(length <= count && length <= ProxyHeader::MAX);
        }
        known = found;
    }
    if stream.len() >= ProxyHeader::MAX {
        assert_ne!(known, ProxyHeader::Incomplete);
    }
}

/// `stream` in pieces of these sizes, none empty, and the rest.
fn pieces<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let sizes = sizes.iter().map(|&size| usize::from(size));
    for size in sizes.chain([usize::MAX]) {
        let (piece, rest) = stream.split_at(stream.len().min(size));
        if !piece.is_empty() {
            pieces.push(piece);
        }
        stream = rest;
    }
    pieces
}

/// What a framing says of all reads at once.
fn defined(reads: &[&[u8]], framing: Framing, max: usize) -> Messages {
    let whole = reads.concat();
    let messages: Vec<Vec<u8>> = match framing {
        Framing::Reads => {
            let kept = |read: &&[u8]| read.iter().copied().filter(|&byte| byte != b'\n').collect();
            reads.iter().map(kept).collect()
        }
        Framing::Lines | Framing::Crlf => {
            let lines = whole.split_inclusive(|&byte| byte == b'\n');
            let end = if framing == Framing::Crlf {
                &b"\r"[..]
            } else {
                b""
            };
            let message = |line: &[u8]| match line.strip_suffix(b"\n") {
                Some(line) => line.strip_suffix(end).unwrap_or(line).to_vec(),
                None => line.to_vec(),
            };
            lines.map(message).collect()
        }
    };
    let good = messages.iter().take_while(|message| message.len() <= max);
    let good = good.count();
    (messages[..good].to_vec(), good < messages.len())
}

/// The same by the cutter, a read at a time.
fn cut(reads: &[&[u8]], framing: Framing, max: usize) -> Messages {
    let (mut cutter, mut buffer, mut messages) =
        (Cutter::new(framing, max), Vec::new(), Vec::new());
    for read in reads.iter().chain(&[&b""[..]]) {
        let ended = read.is_empty();
        let before = buffer.len();
        buffer.extend_from_slice(read);
        let kept = cutter.received(&mut buffer[before..]);
        buffer.truncate(before + kept);
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
    }
    assert!(buffer.is_empty(), "an ended stream leaves nothing behind");
    (messages, false)
}
