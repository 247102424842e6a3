//! Who may join: passwords, TLS, and flags that are wrong.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use powd_testkit::program::{expect_one_line, run};
use powd_testkit::{Powd, TestPath, skip, until};

use crate::POWD;
use crate::broker::Broker;

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
    let url = format!("nats://powd:guessed@{address}");
    let told = expect_one_line(&POWD.run(&["solve", "--nats", &url, "x"]), 1, "guessed");
    assert_eq!(
        told,
        "powd: the broker does not let us in: authorization violation\n"
    );
}

/// The block `authorization` of CLUSTER.md.
fn document_authorization() -> String {
    let document = include_str!("../../CLUSTER.md");
    let lines = document.lines();
    let from = lines.skip_while(|line| line.trim() != "authorization {");
    let block = from.take_while(|line| line.starts_with("    "));
    block.collect::<Vec<_>>().join("\n")
}

#[test]
fn who_asks_for_what_the_broker_forbids_is_told() {
    let Some(broker) = Broker::start_with_store_and(&document_authorization()) else {
        return;
    };
    let address = broker.address();
    let url = format!("nats://powd:CHANGEME1@{address}");
    let _member = POWD.serve(&["--nats", &url, "--workers", "1"]);
    let url = format!("nats://client:CHANGEME2@{address}");
    let solve = |flags: &[&str]| {
        let asked = ["solve", "--nats", &url, "-d", "1", "hello"];
        POWD.run(&[&asked[..], flags].concat())
    };
    // It may have its connection, and the broker not yet what it subscribes to.
    until("a member that answers", || solve(&[]).status.success());
    let told = expect_one_line(&solve(&["--nats-name", "other"]), 1, "another cluster");
    assert!(
        told.contains("forbids") && told.contains("other.solve"),
        "{told}"
    );
}

/// A JSON Web Token of NATS: what `issuer` says of `subject`.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &str) -> String {
    let (issued_by, subject) = (issuer.public_key(), subject.public_key());
    let said =
        format!(r#"{{"jti":"1","iat":1,"iss":"{issued_by}","sub":"{subject}","nats":{claims}}}"#);
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let head = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", encode(said.as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).expect("it has its seed");
    format!("{signed}.{}", encode(&signature))
}

/// The credentials file of a user (nats.go, `UserCredentials`).
fn credentials(token: &str, user: &KeyPair) -> String {
    let seed = user.seed().expect("it has its seed");
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[test]
fn credentials_are_shown_to_a_broker_that_knows_their_account() {
    let [operator, account, user] = [
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_user(),
    ];
    let operator_token = token(&operator, &operator, r#"{"type":"operator","version":2}"#);
    let everything = r#"{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}"#;
    let claims = format!(r#"{{"limits":{everything},"type":"account","version":2}}"#);
    let account_token = token(&operator, &account, &claims);
    let claims = r#"{"subs":-1,"data":-1,"payload":-1,"type":"user","version":2}"#;
    let directory = TestPath::directory("credentials");
    let configuration = directory.file("nats.conf");
    let settings = format!(
        "operator: {operator_token}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_token} }}\n",
        account.public_key()
    );
    fs::write(&configuration, settings).expect("written");
    let Some(broker) = Broker::start_with(&["-c", &configuration]) else {
        return;
    };
    let serve = |name: &str, text: String| {
        let file = directory.file(name);
        fs::write(&file, text).expect("written");
        POWD.serve(&["--nats", &broker.url(), "--nats-creds", &file])
    };
    let member = serve("user", credentials(&token(&account, &user, claims), &user));
    member.wait_for_log("connection", |line| line.contains("the broker is there"));
    // The same, but signed by nobody that the broker knows: it serves alone, and says why.
    let forged = token(&KeyPair::new_account(), &user, claims);
    let stranger = serve("stranger", credentials(&forged, &user));
    stranger.connect().ask(b"hello", 3);
    stranger.wait_for_log("a word of it", |line| line.contains("authorization"));
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
    let directory = TestPath::directory("tls");
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
    let servers = format!("servers=[{}]", broker.address());
    stranger.wait_for_log("a word of it", |line| {
        line.contains("wrong with the broker") && line.contains(&servers)
    });
    stranger.connect().ask(b"hello", 3);
}

#[test]
fn a_password_that_cannot_stand_in_an_address_is_not_shown() {
    for (user, reason) in [
        ("powd:s3cret#pw@", "--nats-creds"),
        ("powd:s3cret%20pw@", "--nats-creds"),
        ("powd:s3cret/pw@", "--nats-creds"),
        ("s3cret?pw@", "--nats-creds"),
        // A part of it is all that stands before the comma.
        ("powd:s3cret,pw@", "nats://HOST:PORT"),
    ] {
        let url = format!("nats://{user}127.0.0.1:1");
        let mut set = POWD.command(&["serve", "--listen", "127.0.0.1:0"]);
        set.env("POWD_NATS", &url);
        let serve = POWD.run(&["serve", "--listen", "127.0.0.1:0", "--nats", &url]);
        let solve = POWD.run(&["solve", "--nats", &url, "hello"]);
        for output in [run(set, b""), serve, solve] {
            let told = expect_one_line(&output, 2, &url);
            assert!(told.contains(reason) && !told.contains("s3cret"), "{told}");
        }
    }
    let mut help = POWD.command(&["serve", "--help"]);
    help.env("POWD_NATS", "nats://powd:s3cret@127.0.0.1");
    let shown = String::from_utf8_lossy(&run(help, b"").stdout).into_owned();
    assert!(shown.contains("POWD_NATS") && !shown.contains("s3cret"));
}

#[test]
fn wrong_flags_are_named_before_anything_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    let directory = TestPath::directory("flags");
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
        let output = POWD.run(&[&["serve", "--listen", &taken], flags].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(word) && told.lines().count() == 1, "{told}");
    }
}
