//! Where powd listens: socket files, and every address of a name.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use powd_testkit::oracle::check;
use powd_testkit::ports::addresses_of;
use powd_testkit::program::expect_one_line;
use powd_testkit::{Client, DEADLINE, Powd, TestPath};

use crate::POWD;

fn connect(path: &Path) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(path).expect("powd listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    BufReader::new(stream)
}

/// Asks once, and checks the reply.
fn ask(client: &mut BufReader<UnixStream>, message: &str, zeros: u8) {
    let line = format!("{message}\n");
    let sent = client.get_mut().write_all(line.as_bytes());
    sent.expect("powd takes bytes");
    let mut reply = String::new();
    client.read_line(&mut reply).expect("a line, in time");
    let reply = reply.strip_suffix('\n').expect("a whole line");
    check(reply.as_bytes(), message.as_bytes(), zeros);
}

#[test]
fn a_socket_file_serves_like_a_port_and_goes_with_the_service() {
    let path = TestPath::new("serves");
    let listen = format!("{}@1", path.address());
    let flags = ["--listen", &listen, "--listen", "127.0.0.1:0", "-d", "2"];
    let mut powd = POWD.serve(&flags);
    powd.wait_for_log("announcement", |line| {
        line.starts_with(&format!(
            "powd: listening on {} difficulty=1 ",
            path.address()
        ))
    });
    let mut client = connect(path.path());
    ask(&mut client, "over a file", 1);
    powd.connect().ask(b"over TCP", 2);

    // One client sends all it has, ends its stream and gets its replies.
    let mut pipelined = connect(path.path());
    let sent = pipelined.get_mut().write_all(b"one\ntwo\nlast");
    sent.expect("powd takes bytes");
    let ended = pipelined.get_ref().shutdown(Shutdown::Write);
    ended.expect("it is open");
    let replies: Vec<String> = pipelined
        .lines()
        .map(|line| line.expect("in time"))
        .collect();
    assert_eq!(replies.len(), 3);
    for (reply, message) in replies.iter().zip(["one", "two", "last"]) {
        check(reply.as_bytes(), message.as_bytes(), 1);
    }

    // powd's own clients come that way, too.
    let load = POWD.run(&["load", &path.address(), "-n", "50", "-c", "5", "-d", "1"]);
    assert!(load.status.success(), "{load:?}");

    powd.signal("TERM");
    assert!(powd.wait().success());
    assert!(!path.path().exists(), "left behind");
}

#[test]
fn a_client_of_a_socket_file_that_closes_is_gone_at_once() {
    let path = TestPath::new("gone");
    let powd = POWD.serve(&["--listen", &path.address(), "-d", "64"]);
    let mut client = connect(path.path());
    client
        .get_mut()
        .write_all(b"hard\n")
        .expect("powd takes bytes");
    powd.until_counter("/hashes", |hashes| hashes > 0);
    drop(client);
    powd.until_cancelled();
}

#[test]
fn a_socket_file_is_replaced_only_where_nobody_listens() {
    let path = TestPath::new("replaced");
    let serve = ["serve", "--kernel", "portable", "--listen", &path.address()];
    let mut killed = Powd::start(POWD.command(&serve), 1);
    let told = expect_one_line(&POWD.run(&serve), 1, "somebody listens");
    assert!(
        told.contains(&path.address()) && told.contains("listens there already"),
        "{told}"
    );
    ask(&mut connect(path.path()), "still there", 3);

    killed.signal("KILL");
    killed.wait();
    assert!(path.path().exists(), "nobody could remove it");
    let _powd = Powd::start(POWD.command(&serve), 1);
    ask(&mut connect(path.path()), "the next one", 3);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = TestPath::new("file");
    std::fs::write(path.path(), "precious").expect("a directory for files");
    let output = POWD.run(&["serve", "--listen", &path.address()]);
    let told = expect_one_line(&output, 1, "a file");
    assert!(
        told.contains("no socket") && told.contains("another path"),
        "{told}"
    );
    assert_eq!(
        std::fs::read(path.path()).expect("it is there"),
        b"precious"
    );
}

#[test]
fn limits_by_address_leave_clients_of_socket_files_alone() {
    let path = TestPath::new("limits");
    let listen = path.address();
    let limits = ["--allow", "192.0.2.0/24", "--max-connections-per-ip", "1"];
    let powd = POWD.serve(
        &[
            &["--listen", &listen, "--max-connections", "2", "-d", "1"],
            &limits[..],
        ]
        .concat(),
    );
    let mut clients = [connect(path.path()), connect(path.path())];
    for client in &mut clients {
        ask(client, "no address to judge by", 1);
    }
    let mut line = String::new();
    connect(path.path())
        .read_line(&mut line)
        .expect("a line, in time");
    assert!(line.starts_with("ERR busy "), "{line:?}");
    assert_eq!(powd.counter("/connections/refused/busy"), 1);
}

#[test]
fn a_name_is_listened_on_at_every_address_that_it_has() {
    let powd = POWD.serve(&["--listen", "localhost:0", "-d", "1"]);
    for ip in addresses_of("localhost") {
        let address = powd.announced_at("listening", ip);
        Client::connect(address).ask(b"by name", 1);
    }
}

#[test]
fn a_name_that_nobody_knows_is_told_so() {
    // RFC 6761: nobody ever has it.
    let output = POWD.run(&["serve", "--listen", "nobody.invalid:20000"]);
    let told = expect_one_line(&output, 1, "a name without an address");
    assert!(
        told.contains("nobody.invalid") && told.contains("check the name"),
        "{told}"
    );
}

/// `nc -U`, as people try it.
#[test]
fn an_independent_client_is_served() {
    let path = TestPath::new("python");
    let _powd = POWD.serve(&["--listen", &path.address(), "-d", "1"]);
    let script = "import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'hello\\n')
client.shutdown(socket.SHUT_WR)
sys.stdout.write(client.makefile().read())";
    let asked = Command::new("python3")
        .args(["-c", script])
        .arg(path.path())
        .output();
    let Ok(asked) = asked else {
        return powd_testkit::skip("python3 cannot be started");
    };
    check(asked.stdout.trim_ascii_end(), b"hello", 1);
}
