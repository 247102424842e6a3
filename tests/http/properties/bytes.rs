//! Connections on which anything at all is said: they end, and the service goes on.

use proptest::prelude::*;

use super::{check, cut, places};
use crate::client::{Http, serve_bounded};

/// Damages some bytes of a good request.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4);
    prop::collection::vec(damage, 0..4).prop_map(move |all| {
        let mut bytes = good.clone();
        for (place, byte, how) in all {
            let place = place.index(bytes.len().max(1));
            match how {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => drop(bytes.remove(place)),
                _ => bytes.truncate(place),
            }
        }
        bytes
    })
}

fn requests() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("a short one");
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    // SETTINGS, HEADERS (POST, http, the path), DATA; RST_STREAM; PING; WINDOW_UPDATE; GOAWAY.
    let http2 = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 9]),
        frame(1, 4, 1, b"\x83\x86\x04\x09/v1/solve\x01\x01x"),
        frame(0, 1, 1, b"hello"),
        frame(1, 4, 3, b"\x83\x86\x04\x09/v1/batch\x01\x01x"),
        frame(0, 0, 3, b"a\nb\nc"),
        frame(3, 0, 3, &[0, 0, 0, 8]),
        frame(6, 0, 0, b"12345678"),
        frame(8, 0, 0, &[0, 0, 1, 0]),
        frame(7, 0, 0, &[0; 8]),
    ];
    let single =
        b"POST /v1/solve?difficulty=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let batch = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        4\r\na\nb\n\r\n2;x=y\r\nc\n\r\n0\r\nTrailer: z\r\n\r\n";
    let two = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\n\
        Content-Type: application/json\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n\
        {\"message\":\"x\"}GET /openapi.json HTTP/1.0\r\n\r\n";
    vec![
        single.to_vec(),
        batch.to_vec(),
        two.to_vec(),
        http2.concat(),
    ]
}

#[test]
fn whatever_is_said_a_connection_ends_and_the_service_goes_on() {
    let powd = serve_bounded(&[
        "-d",
        "1",
        "--max-difficulty",
        "1",
        "--max-message-bytes",
        "100",
    ]);
    let said = prop_oneof![
        9 => prop::sample::select(requests()).prop_flat_map(damaged),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ];
    let door = prop::sample::select(vec!["http", "admin"]);
    check((said, places(), door), |(said, places, door)| {
        let mut http = Http::connect(powd.door(door));
        for piece in cut(&said, &places) {
            // It may have had enough.
            if !http.try_send_all(&piece) {
                break;
            }
        }
        http.end();
        http.expect_end();
        Ok(())
    });
    Http::to(&powd)
        .post("/v1/solve", b"x")
        .expect_solution("x", 1);
    // What was printed before them is in the log by then.
    powd.counters();
    let panicked = powd
        .log()
        .into_iter()
        .find(|line| line.contains("panicked"));
    assert_eq!(panicked, None);
}
