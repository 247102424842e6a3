//! A client in another language, which reads HTTP and JSON and hashes with its own library.

use std::process::Command;

use powd_testkit::skip;
use serde_json::Value;

use crate::client::{serve, status};

const CONNECTIONS: u64 = 100;

/// Single messages. As many come in batches of either kind.
const MESSAGES: u64 = 3000;

/// `POWD_INDEPENDENT_MESSAGES=100000` asks for as many.
#[test]
fn a_client_in_python_finds_no_fault() {
    let messages = std::env::var("POWD_INDEPENDENT_MESSAGES");
    let messages = messages.map_or(MESSAGES, |number| number.parse().expect("a number"));
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/http/independent_client.py"
    );
    let powd = serve(&[]);
    let address = powd.door("http");
    let output = Command::new("python3")
        .arg(script)
        .args([address.ip().to_string(), address.port().to_string()])
        .args([CONNECTIONS.to_string(), messages.to_string()])
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(&format!("python3 cannot be started: {error}")),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let counts: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for kind in ["solve", "ndjson", "lines"] {
        let of_difficulty = |difficulty| counts[format!("{kind} {difficulty}")].as_u64();
        let counts: Vec<_> = (0..=4).filter_map(of_difficulty).collect();
        assert_eq!(counts.len(), 5, "{counts:?}");
        assert_eq!(counts.iter().sum::<u64>(), messages, "{counts:?}");
    }
    assert_eq!(status(&powd, "/doors/1/requests"), 3 * messages);
    assert_eq!(status(&powd, "/doors/1/replies"), 3 * messages);
    assert_eq!(status(&powd, "/doors/1/connections_opened"), CONNECTIONS);
}
