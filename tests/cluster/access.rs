//! Who may join: passwords, TLS, and flags that are wrong.

use std::fs;
use std::process::{Command, Stdio};

use powd_testkit::{Powd, skip};

use crate::POWD;
use crate::broker::Broker;
use crate::directory::Directory;

#[test]
fn a_password_in_the_address_is_shown_to_the_broker_alone() {
    let Some(broker) = Broker::start_with(&["--user", "powd", "--pass", "secret"]) else {
        return;
    };
    let serve = |url: &str| POWD.serve(&["--nats", url, "--workers", "1"]);
    let address = broker.address();
    let member = serve(&format!("nats://powd:secret@{address}"));
    member.wait_for_log("connection", |line| line.contains("the broker is there"));
    assert!(member.log().iter().all(|line| !line.contains("secret")));
    // With a wrong one it serves alone, and says why.
    let stranger = serve(&format!("nats://powd:guessed@{address}"));
    stranger.connect().ask(b"hello", 3);
    stranger.wait_for_log("a word of it", |line| {
        line.contains("authorization") && !line.contains("guessed")
    });
}

#[test]
fn tls_is_checked_against_the_certificates_that_the_system_trusts() {
    let openssl = |arguments: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        openssl.status().is_ok_and(|status| status.success())
    };
    if !openssl(&["version"]) {
        return skip("openssl is missing");
    }
    let directory = Directory::new("tls");
    let [ca, ca_key] = ["ca.pem", "ca.key"].map(|name| directory.file(name));
    let [cert, key] = ["cert.pem", "cert.key"].map(|name| directory.file(name));
    let new = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ];
    let root = [
        "-subj",
        "/CN=a root for one test",
        "-out",
        &ca,
        "-keyout",
        &ca_key,
    ];
    assert!(openssl(&[&new[..], &root].concat()));
    let leaf = [
        ["-subj", "/CN=broker"],
        ["-addext", "subjectAltName=IP:127.0.0.1"],
        ["-addext", "basicConstraints=critical,CA:FALSE"],
        ["-CA", &ca],
        ["-CAkey", &ca_key],
        ["-out", &cert],
        ["-keyout", &key],
    ];
    assert!(openssl(&[&new[..], &leaf.concat()].concat()));
    let Some(broker) = Broker::start_with(&["--tls", "--tlscert", &cert, "--tlskey", &key]) else {
        return;
    };
    let url = format!("tls://{}", broker.address());
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--nats",
        &url,
        "--workers",
        "1",
    ];
    let mut command = POWD.command(&flags);
    command.env("SSL_CERT_FILE", &ca);
    let member = Powd::start(command, 1);
    member.wait_for_log("connection", |line| line.contains("the broker is there"));
    // Who does not trust that root does not connect.
    let stranger = Powd::start(POWD.command(&flags), 1);
    stranger.wait_for_log("a word of it", |line| {
        line.contains("wrong with the broker")
    });
    stranger.connect().ask(b"hello", 3);
}

#[test]
fn wrong_flags_are_named_before_anything_is_bound() {
    let directory = Directory::new("flags");
    let not_credentials = directory.file("text");
    fs::write(&not_credentials, "hello").expect("written");
    let joined = ["--nats", "nats://127.0.0.1:1"];
    for (flags, word) in [
        (&["--nats", "http://127.0.0.1"][..], "--nats"),
        (&["--nats-creds", "file"], "--nats"),
        (&["--nats-name", "one"], "--nats"),
        (
            &[&joined[..], &["--nats-name", "a.b"]].concat(),
            "--nats-name",
        ),
        (
            &[&joined[..], &["--nats-creds", "/nowhere"]].concat(),
            "/nowhere",
        ),
        (
            &[&joined[..], &["--nats-creds", &not_credentials]].concat(),
            "credentials",
        ),
    ] {
        let output = POWD.run(&[&["serve"], flags].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(word) && told.lines().count() == 1, "{told}");
    }
}
