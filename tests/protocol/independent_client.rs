//! A client in another language, which checks with its own SHA-256.

use std::process::Command;

use powd_testkit::skip;

use crate::POWD;

const REQUESTS: usize = 100_000;

#[test]
fn a_client_in_python_finds_no_fault() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/protocol/independent_client.py"
    );
    let powd = POWD.serve(&["-d", "1"]);
    let address = powd.address();
    let output = Command::new("python3")
        .arg(script)
        .args([address.ip().to_string(), address.port().to_string()])
        .args(["100", &REQUESTS.to_string(), "1"])
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            return skip(&format!("python3 cannot be started: {error}"));
        }
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        REQUESTS.to_string()
    );
    assert_eq!(powd.counter("/requests"), REQUESTS as u64);
    assert_eq!(powd.counter("/replies"), REQUESTS as u64);
}
