//! The line protocol, from outside: every row of its table, over real sockets.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use powd_testkit::oracle::{Reply, check};
use powd_testkit::{Client, lines, messages};
#[cfg(target_os = "linux")]
use socket2::SockRef;

use crate::POWD;

#[test]
fn a_reply_is_the_message_a_seed_and_its_hash() {
    let powd = POWD.serve(&[]);
    let mut client = powd.connect();
    client.send(b"hello\n");
    let seed = client.reply(b"hello", 3);
    assert_eq!(seed.len(), 5);
}

#[test]
fn difficulties_0_to_4_are_met() {
    let listen: Vec<String> = (0..=4)
        .map(|nibbles| format!("127.0.0.1:0@{nibbles}"))
        .collect();
    let flags: Vec<&str> = listen
        .iter()
        .flat_map(|listen| ["--listen", listen])
        .collect();
    let powd = POWD.serve(&flags);
    for (nibbles, address) in (0..).zip(powd.addresses()) {
        Client::connect(*address).ask_all(&messages(20), nibbles);
    }
}

#[test]
fn two_listeners_have_difficulties_of_their_own() {
    let powd = POWD.serve(&[
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0@2",
        "-d",
        "0",
    ]);
    let [easy, hard] = powd.addresses() else {
        panic!("two listeners")
    };
    let asked = messages(200);
    Client::connect(*hard).ask_all(&asked, 2);
    let mut easy = Client::connect(*easy);
    easy.send(&lines(&asked));
    // At difficulty 0 nothing is asked of the hash: one in 256 has two zeros by chance.
    let two_zeros = asked.iter().filter(|message| {
        let line = easy.line();
        check(&line, message.as_bytes(), 0).hash.starts_with(b"00")
    });
    assert!(two_zeros.count() < 50);
}

#[test]
fn requests_split_into_single_bytes_are_whole_again() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    let asked = ["byte by byte", "", "and once more"];
    for byte in lines(asked) {
        client.send(&[byte]);
    }
    for message in asked {
        client.reply(message.as_bytes(), 1);
    }
}

#[test]
fn a_request_split_anywhere_is_whole_again() {
    let powd = POWD.serve(&["-d", "0"]);
    let mut client = powd.connect();
    let asked = ["first", "", "second,with,commas", "third"];
    let bytes = lines(asked);
    for cut in 0..=bytes.len() {
        client.send(&bytes[..cut]);
        client.send(&bytes[cut..]);
        for message in asked {
            client.reply(message.as_bytes(), 0);
        }
    }
}

/// What telnet sends for an interrupt, say: data in the stream like any other (RFC 6093), at which
/// a read stops.
#[cfg(target_os = "linux")]
#[test]
fn urgent_data_is_data() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    client.ask(b"before", 1);
    for _ in 0..2 {
        // All of it is there when powd first looks.
        powd.stop();
        client.send(b"one\ntwo ");
        let socket = SockRef::from(client.stream());
        assert_eq!(socket.send_out_of_band(b"!").expect("room"), 1);
        client.send(b" three\nfour\n");
        powd.signal("CONT");
        for message in ["one", "two ! three", "four"] {
            client.reply(message.as_bytes(), 1);
        }
    }
}

#[test]
fn a_thousand_glued_requests_are_answered_in_order() {
    let powd = POWD.serve(&["-d", "2"]);
    let mut client = powd.connect();
    let asked = messages(1000);
    client.send(&lines(&asked));
    for message in &asked {
        client.reply(message.as_bytes(), 2);
    }
}

#[test]
fn an_empty_line_is_an_empty_message() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    client.send(b"\n\n\nend\n");
    for message in [&b""[..], b"", b"", b"end"] {
        client.reply(message, 1);
    }
}

#[test]
fn bytes_of_every_value_come_back_unchanged() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    let mut asked: Vec<Vec<u8>> = [
        &b"carriage return\r"[..],
        b"\r",
        b"nul \0 nul",
        b"\0",
        b",",
        b"a,b,,c,",
        b"ERR not an error",
        b"\xff\xfe not UTF-8 \x80",
        "Zähler ∑ 雪".as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    asked.extend(
        (0..=255u8)
            .filter(|byte| *byte != b'\n')
            .map(|byte| vec![byte]),
    );
    asked.push((0..=255u8).filter(|byte| *byte != b'\n').collect());
    client.ask_all(&asked, 1);
}

#[test]
fn equal_requests_get_different_seeds() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    client.send(&b"same\n".repeat(20));
    let mut seeds: Vec<Vec<u8>> = (0..20).map(|_| client.reply(b"same", 1)).collect();
    seeds.sort();
    seeds.dedup();
    // 62^5 seeds, one in 16 of them a solution: twenty draws that meet would be a miracle.
    assert_eq!(seeds.len(), 20);
}

#[test]
fn a_last_line_without_newline_is_a_message() {
    let powd = POWD.serve(&["-d", "1"]);
    let mut client = powd.connect();
    client.send(b"first\nlast");
    client.end();
    client.reply(b"first", 1);
    client.reply(b"last", 1);
    client.expect_end();
}

#[test]
fn the_end_of_the_stream_alone_is_no_message() {
    let powd = POWD.serve(&["-d", "1"]);
    for sent in [&b""[..], b"one\n"] {
        let mut client = powd.connect();
        client.send(sent);
        client.end();
        if !sent.is_empty() {
            client.reply(b"one", 1);
        }
        client.expect_end();
    }
}

#[test]
fn every_reply_is_sent_after_a_half_close() {
    let powd = POWD.serve(&["-d", "2"]);
    let mut client = powd.connect();
    let asked = messages(5000);
    client.send(&lines(&asked));
    client.end();
    for message in &asked {
        client.reply(message.as_bytes(), 2);
    }
    client.expect_end();
}

#[test]
fn the_longest_message_is_answered() {
    let powd = POWD.serve(&["-d", "1", "--max-message-bytes", "100"]);
    let mut client = powd.connect();
    client.ask(&[b'x'; 100], 1);
    client.send(&[b'y'; 100]);
    client.end();
    client.reply(&[b'y'; 100], 1);
    client.expect_end();
}

#[test]
fn a_message_one_byte_too_long_is_refused_after_the_replies_before_it() {
    let powd = POWD.serve(&["-d", "2", "--max-message-bytes", "100"]);
    let before = messages(50);
    let mut sent = lines(&before);
    sent.extend([b'x'; 101]);
    // With its newline, without it, and with requests behind it that nobody answers.
    for tail in [&b"\n"[..], b"", b"\nnever answered\n"] {
        let mut client = powd.connect();
        client.send(&[&sent, tail].concat());
        for message in &before {
            client.reply(message.as_bytes(), 2);
        }
        client.error("too-long");
        client.expect_end();
    }
    assert_eq!(powd.counter("/errors/too_long"), 3);
}

#[test]
fn the_default_limit_is_8192_bytes() {
    let powd = POWD.serve(&["-d", "0"]);
    let mut client = powd.connect();
    client.ask(&[b'x'; 8192], 0);
    client.send(&[b'x'; 8193]);
    client.error("too-long");
    client.expect_end();
}

#[test]
fn an_endless_line_is_refused_while_it_is_sent() {
    let powd = POWD.serve(&["-d", "0"]);
    let mut client = powd.connect();
    let mut writer = client.stream().try_clone().expect("a descriptor is free");
    let refused = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Sooner or later powd closes: then writing fails.
            let mut sent = 0usize;
            while !refused.load(Ordering::Relaxed) && writer.write_all(&[b'x'; 4096]).is_ok() {
                sent += 4096;
            }
            assert!(sent >= 8192);
        });
        client.error("too-long");
        refused.store(true, Ordering::Relaxed);
        client.expect_end();
    });
}

/// Every length from 0 to 200, and those around each place up to 8192 where one block more begins:
/// for the message alone, for the message behind its seed, and with the padding's nine bytes.
fn telling_lengths() -> Vec<usize> {
    let around = (4..=128).flat_map(|block| {
        [-15, -14, -13, -9, -6, -5, -4, -1, 0, 1].map(|offset| block * 64 + offset)
    });
    let around = around
        .map(|length: isize| length as usize)
        .filter(|length| *length <= 8192);
    (0..=200).chain(around).collect()
}

#[test]
fn messages_of_every_length_are_answered_right() {
    let powd = POWD.serve(&[
        "--listen",
        "127.0.0.1:0@0",
        "--listen",
        "127.0.0.1:0@1",
        "--listen",
        "127.0.0.1:0@2",
    ]);
    let asked: Vec<Vec<u8>> = telling_lengths()
        .into_iter()
        .map(|length| {
            (b' '..=b'~')
                .cycle()
                .skip(length % 90)
                .take(length)
                .collect()
        })
        .collect();
    for (nibbles, address) in (0..).zip(powd.addresses()) {
        Client::connect(*address).ask_all(&asked, nibbles);
    }
}

#[test]
fn framed_by_reads_a_chunk_without_newline_is_a_message() {
    let powd = POWD.serve(&["-d", "1", "--framing", "reads"]);
    let mut client = powd.connect();
    // The habit of the original's clients: send, receive, send again; no newline anywhere.
    for message in messages(50) {
        client.send(message.as_bytes());
        client.reply(message.as_bytes(), 1);
    }
    client.end();
    client.expect_end();
}

#[test]
fn framed_by_reads_every_newline_is_taken_out() {
    let powd = POWD.serve(&["-d", "1", "--framing", "reads"]);
    let mut client = powd.connect();
    for (chunk, message) in [
        (&b"one\n"[..], &b"one"[..]),
        (b"\nt\nw\n\no", b"two"),
        (b"with\r\n", b"with\r"),
        (b"\n", b""),
        (b"\n\n\n", b""),
        (b"end", b"end"),
    ] {
        client.send(chunk);
        client.reply(message, 1);
    }
}

#[test]
fn framed_by_reads_no_message_is_longer_than_one_read() {
    let powd = POWD.serve(&["-d", "0", "--framing", "reads"]);
    let mut client = powd.connect();
    let sent: Vec<u8> = (b'a'..=b'z').cycle().take(100_000).collect();
    client.send(&sent);
    client.end();
    let mut echoed = Vec::new();
    while let Some(line) = client.next_line() {
        let message = Reply::split(&line).expect("a reply").message.to_vec();
        check(&line, &message, 0);
        assert!(!message.is_empty() && message.len() <= 8192);
        echoed.extend(message);
    }
    // Where one read ends and the next begins is up to the network; that all is answered once is
    // not.
    assert!(echoed == sent);
}

#[test]
fn framed_by_reads_a_message_may_be_too_long_too() {
    let powd = POWD.serve(&["-d", "0", "--framing", "reads", "--max-message-bytes", "10"]);
    let mut client = powd.connect();
    client.send(b"0123456789");
    client.reply(b"0123456789", 0);
    client.send(b"0123456789\n");
    client.reply(b"0123456789", 0);
    client.send(b"0123456789x");
    client.error("too-long");
    client.expect_end();
}
