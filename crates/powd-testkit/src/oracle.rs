//! Whether a reply line is right, by the `sha2` crate alone.
//!
//! The oracle of the tests from outside. It is written from PROTOCOL.md and uses nothing of powd's
//! code.

use sha2::{Digest as _, Sha256};

/// The fields of a line `message,seed,hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// All up to the last comma but one.
    pub message: &'a [u8],
    /// Between the last two commas.
    pub seed: &'a [u8],
    /// Behind the last comma.
    pub hash: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The fields of a line without its `\n`, whether right or wrong. None if it has fewer than two
    /// commas.
    pub fn split(line: &'a [u8]) -> Option<Reply<'a>> {
        let mut fields = line.rsplitn(3, |&byte| byte == b',');
        let (hash, seed, message) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Reply {
            message,
            seed,
            hash,
        })
    }
}

/// The hash of a seed and a message, as powd writes it: lowercase hex of SHA-256 of both, the seed
/// first.
pub fn hash(seed: &[u8], message: &[u8]) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(seed)
            .chain_update(message)
            .finalize(),
    )
}

/// The zeros that a hash starts with.
pub fn zeros(hash: &[u8]) -> usize {
    hash.iter().take_while(|&&digit| digit == b'0').count()
}

/// Panics unless `line`, without its `\n`, is a right reply to `message` with so many zeros or
/// more.
pub fn check<'a>(line: &'a [u8], message: &[u8], at_least: u8) -> Reply<'a> {
    let shown = String::from_utf8_lossy(line);
    let reply = Reply::split(line).unwrap_or_else(|| panic!("not message,seed,hash: {shown}"));
    assert!(
        reply.message == message,
        "the reply to another message than {}: {shown}",
        String::from_utf8_lossy(message)
    );
    assert!(
        (1..=16).contains(&reply.seed.len()) && reply.seed.iter().all(u8::is_ascii_alphanumeric),
        "not a seed of 1 to 16 letters and digits: {shown}"
    );
    let right = hash(reply.seed, message);
    assert!(
        reply.hash == right.as_bytes(),
        "not the hash, which is {right}: {shown}"
    );
    assert!(
        zeros(reply.hash) >= usize::from(at_least),
        "fewer than {at_least} zeros: {shown}"
    );
    reply
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    // printf '%s' a0acyhello | sha256sum
    const GOOD: &str =
        "hello,a0acy,00506431e10a9288ee7298cd0f6ce3b96be60b06e75a4f4484f07491b8235e0d";

    fn is_right(line: &str, message: &str, at_least: u8) -> bool {
        panic::catch_unwind(|| check(line.as_bytes(), message.as_bytes(), at_least)).is_ok()
    }

    #[test]
    fn only_a_right_reply_passes() {
        assert!(is_right(GOOD, "hello", 0));
        assert!(is_right(GOOD, "hello", 2));
        assert!(!is_right(GOOD, "hello", 3), "too few zeros");
        assert!(!is_right(GOOD, "hullo", 0), "another message");
        assert!(!is_right(&GOOD.replace("a0", "b0"), "hello", 0));
        assert!(!is_right(&GOOD.to_uppercase(), "HELLO", 0));
        assert!(!is_right(&format!("{GOOD}0"), "hello", 0));
        assert!(!is_right("hello", "hello", 0), "no fields");
        let outside = format!("hello,a-,{}", hash(b"a-", b"hello"));
        assert!(!is_right(&outside, "hello", 0), "outside of the alphabet");
        let empty = format!("hello,,{}", hash(b"", b"hello"));
        assert!(!is_right(&empty, "hello", 0), "no seed");
        let long = format!("hello,{},{}", "a".repeat(17), hash(&[b'a'; 17], b"hello"));
        assert!(!is_right(&long, "hello", 0), "too long a seed");
    }

    #[test]
    fn the_message_may_have_commas() {
        let line = format!("a,b,,c,{}", hash(b"c", b"a,b,"));
        assert_eq!(check(line.as_bytes(), b"a,b,", 0).seed, b"c");
    }
}
