//! The message cutter against splitting all at once: any bytes, arriving in any pieces, with any limit, are
//! the same messages; and what comes back from a reply line is what went in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use powd::protocol::{Cut, LineCutter, without_newlines};
use powd::protocol::{Fault, Reply};
use powd_core::Difficulty;

fuzz_target!(|input: (u8, Vec<u8>, &[u8])| {
    let (max, pieces, stream) = input;
    let max = usize::from(max);
    assert_eq!(in_pieces(stream, &pieces, max), at_once(stream, max));

    let mut bytes = stream.to_vec();
    let kept = without_newlines(&mut bytes);
    let expected: Vec<u8> = stream
        .iter()
        .copied()
        .filter(|&byte| byte != b'\n')
        .collect();
    assert_eq!(bytes[..kept], expected);

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
});

/// The messages of a whole stream, and whether one too long ended it.
fn at_once(stream: &[u8], max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let whole = lines.iter().take_while(|line| line.len() <= max).count();
    let messages = lines[..whole].iter().map(|line| line.to_vec());
    (messages.collect(), whole < lines.len())
}

/// The same by the cutter, which gets pieces of these sizes and then the rest.
fn in_pieces(stream: &[u8], sizes: &[u8], max: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut cutter, mut messages) = (LineCutter::default(), Vec::new());
    let (mut received, mut taken) = (0, 0);
    let sizes = sizes.iter().map(|&size| usize::from(size));
    for size in sizes.chain([stream.len(), 0]) {
        let ended = received == stream.len();
        received = stream.len().min(received + size);
        loop {
            match cutter.cut(&stream[taken..received], ended, max) {
                Cut::Message { length, taken: all } => {
                    messages.push(stream[taken..taken + length].to_vec());
                    taken += all;
                }
                Cut::TooLong => return (messages, true),
                Cut::Incomplete => break,
            }
        }
    }
    (messages, false)
}
