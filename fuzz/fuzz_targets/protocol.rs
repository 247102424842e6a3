//! The line protocol against its definition: any bytes, arriving in any pieces, with any limit, are
//! the same messages; what is written as a reply is read as one, and is wrong with any other byte
//! in it; error lines are told from replies.

#![no_main]

use std::convert::Infallible;

use libfuzzer_sys::fuzz_target;
use powd::protocol::definition::{cut, defined};
use powd::protocol::{ErrorLine, Fault, Framing, Reply};
use powd_core::{Difficulty, Seed, SeedLength, verify};

fuzz_target!(|input: (u8, u16, u8, Vec<u8>, &[u8])| {
    let (max, at, change, sizes, stream) = input;
    let max = usize::from(max);
    // What one read of a server takes at most: more is two.
    let stream = &stream[..stream.len().min(8192)];
    let pieces = pieces(stream, &sizes);
    for framing in [Framing::Lines, Framing::Crlf, Framing::Reads] {
        assert_eq!(cut(&pieces, framing, max), defined(&pieces, framing, max));
    }
    any_line(stream);
    right_line(stream, max as u8, usize::from(at), change);
});

/// Whatever a line is, it is told what is wrong with it.
fn any_line(line: &[u8]) {
    let commas = line.iter().filter(|&&byte| byte == b',').count();
    match Reply::parse(line) {
        Ok(reply) => {
            assert!(commas >= 2);
            let again = [reply.message, b",", reply.seed, b",", reply.hash].concat();
            assert_eq!(again, line);
            // A right hash of 64 zeros would be news.
            assert!(reply.check(Difficulty::MAX).is_err());
        }
        Err(Fault::ErrorLine(text)) => {
            assert!(commas < 2);
            assert_eq!(text, String::from_utf8_lossy(line));
            let code = ErrorLine::code_in(line).expect("a code");
            assert!(line.starts_with(&[b"ERR ", code].concat()));
            assert!(!code.iter().any(u8::is_ascii_whitespace));
        }
        Err(Fault::Form) => assert!(commas < 2 && !line.starts_with(b"ERR ")),
        Err(other) => panic!("{other:?}"),
    }
}

/// The reply to a message, and the same line with one byte changed.
fn right_line(message: &[u8], seed: u8, at: usize, change: u8) {
    let length = SeedLength::new(1 + seed % 16).expect("1 to 16");
    let seed = Seed::from_index(length, u128::from(seed) % length.space());
    let solution = verify(seed, message, Difficulty::NONE).expect("every digest has no zeros");
    let mut line = Vec::new();
    let Ok(()) = Reply::write_solution(message, &solution, |piece| {
        line.extend_from_slice(piece);
        Ok::<(), Infallible>(())
    });
    let found = Reply::at(&line, message.len(), length.bytes());
    let line_alone = line.strip_suffix(b"\n").expect("an end");
    let reply = Reply::parse(line_alone).expect("a reply");
    assert_eq!(found, Some(reply));
    assert_eq!(reply.message, message);
    assert_eq!(reply.check(Difficulty::NONE), Ok(()));

    let mut wrong = line_alone.to_vec();
    let at = at % wrong.len();
    wrong[at] ^= change.max(1);
    let read = Reply::parse(&wrong).and_then(|reply| reply.check(Difficulty::NONE));
    assert!(read.is_err(), "byte {at}");
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
