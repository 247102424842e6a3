//! `schemathesis`, which reads the description of the API and asks what it allows and what it does
//! not: each answer must be one that is described.

use std::path::Path;
use std::process::Command;

use powd_testkit::{Powd, TestPath, is_there, skip};

use crate::client::serve_bounded;

/// Runs it against a service, with these header lines on each request.
fn expect_nothing_found(powd: &Powd, headers: &[&str]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/schemathesis");
    if !is_there("schemathesis") {
        return skip("schemathesis is missing: pip install schemathesis");
    }
    let mut command = Command::new("schemathesis");
    command
        .arg("--config-file")
        .arg(directory.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/openapi.json", powd.door("http")))
        .arg("--no-color")
        .env("SCHEMATHESIS_HOOKS", directory.join("hooks.py"))
        // It leaves something where it runs.
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    for header in headers {
        command.args(["--header", header]);
    }
    match std::env::var("POWD_SCHEMATHESIS_EXAMPLES") {
        Ok(examples) => command.arg(format!("--max-examples={examples}")),
        // The same ones each time: what else it may find must not stop who changes something else.
        Err(_) => command.args(["--max-examples=8", "--generation-deterministic"]),
    };
    let output = command.output().expect("it could be started just now");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

/// So that no search takes long.
const EASY: [&str; 4] = ["-d", "1", "--max-difficulty", "3"];

#[test]
fn what_is_described_is_what_is_answered() {
    expect_nothing_found(&serve_bounded(&EASY), &[]);
}

#[test]
fn and_with_tokens() {
    let tokens = TestPath::with_text("tokens-of-schemathesis", "secret\n");
    let tokens = ["--http-token-file", tokens.text()];
    let powd = serve_bounded(&[&EASY[..], &tokens].concat());
    expect_nothing_found(&powd, &["Authorization: Bearer secret"]);
}
