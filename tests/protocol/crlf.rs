//! `--framing crlf` from outside.

use std::io::Read as _;

use powd_testkit::oracle::check;

use crate::POWD;

/// What a client of a server with these flags receives that sends these bytes and ends its stream.
fn answers(flags: &[&str], sent: &[u8]) -> Vec<u8> {
    let powd = POWD.serve(flags);
    let client = powd.connect();
    client.send(sent);
    client.end();
    let mut received = Vec::new();
    let mut stream = client.into_stream();
    stream.read_to_end(&mut received).expect("answered in time");
    received
}

/// The messages in the reply lines, without seeds and hashes.
fn messages(replies: &[u8]) -> Vec<String> {
    let lines = replies.strip_suffix(b"\n").expect("whole lines");
    let lines = lines.split(|&byte| byte == b'\n');
    let messages = lines.map(|line| {
        let end = line.len().saturating_sub(",12345,".len() + 64);
        check(line, &line[..end], 1);
        line[..end].escape_ascii().to_string()
    });
    messages.collect()
}

#[test]
fn a_carriage_return_before_a_newline_is_no_part_of_a_message_with_crlf_only() {
    let sent = b"hello\r\nbare\nwith\rin\r\ntwo\r\r\n\r\nlast\r";
    let crlf = messages(&answers(&["-d", "1", "--framing", "crlf"], sent));
    assert_eq!(
        crlf,
        ["hello", "bare", r"with\rin", r"two\r", "", r"last\r"]
    );
    let lines = messages(&answers(&["-d", "1"], sent));
    let kept = [
        r"hello\r",
        "bare",
        r"with\rin\r",
        r"two\r\r",
        r"\r",
        r"last\r",
    ];
    assert_eq!(lines, kept);
}

#[test]
fn the_longest_message_has_room_for_its_carriage_return() {
    let flags = ["-d", "1", "--framing", "crlf", "--max-message-bytes", "5"];
    let received = answers(&flags, b"12345\r\n12345\r\r\n");
    let (good, error) = received.split_at(5 + ",12345,".len() + 64 + 1);
    assert_eq!(messages(good), ["12345"]);
    assert!(
        error.starts_with(b"ERR too-long "),
        "{}",
        error.escape_ascii()
    );
}

#[test]
fn a_carriage_return_waits_for_its_newline() {
    let powd = POWD.serve(&["-d", "1", "--framing", "crlf", "--workers", "1"]);
    let mut client = powd.connect();
    client.send(b"one\r");
    // They have arrived when a later connection of the same worker has been answered.
    powd.connect().ask(b"other", 1);
    client.send(b"\n");
    client.reply(b"one", 1);
}

#[test]
fn the_example_of_the_page_is_what_the_server_sends() {
    let page = include_str!("../../PROTOCOL.md");
    let (_, block) = page
        .split_once("```wire --framing crlf\n")
        .expect("it is there");
    let mut lines = block.lines();
    let mut bytes = |mark| {
        let line = lines.next().and_then(|line| line.strip_prefix(mark));
        let line = line.unwrap_or_else(|| panic!("no {mark:?} in {block}"));
        line.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
    };
    let (sent, expected) = (bytes("> "), bytes("< "));
    let flags = ["--workers", "1", "--rng-seed", "1", "--framing", "crlf"];
    let received = answers(&flags, &sent);
    assert_eq!(
        received.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}
