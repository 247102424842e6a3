//! Under a supervisor: what it is told, and sockets that it hands over. The test is the supervisor;
//! systemd's own tool hands over sockets where it is installed.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

use powd_testkit::oracle::check;
use powd_testkit::program::expect_one_line;
use powd_testkit::{
    Client, DEADLINE, Powd, TestPath, is_there, leave_out, proc, reserved_port, skip, until,
};

use crate::POWD;

/// Where a supervisor hears its service.
struct Ear {
    socket: UnixDatagram,
    path: TestPath,
}

impl Ear {
    fn new(name: &str) -> Ear {
        let path = TestPath::new(name);
        let socket = UnixDatagram::bind(path.path()).expect("a socket file");
        socket.set_read_timeout(Some(DEADLINE)).expect("not zero");
        Ear { socket, path }
    }

    /// A service that tells it, with a watchdog of so many microseconds.
    fn serve(&self, watchdog: &str, flags: &[&str]) -> Powd {
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--kernel",
            "portable",
            "--no-pin",
        ];
        let mut command = POWD.command(&[&serve, flags].concat());
        command.env("NOTIFY_SOCKET", self.path.path());
        command.env("WATCHDOG_USEC", watchdog);
        Powd::start(command, 1)
    }

    /// The next message, if one comes within `time`.
    fn within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).expect("not zero");
        let mut bytes = [0; 4096];
        loop {
            match self.socket.recv(&mut bytes) {
                Ok(count) => return Some(String::from_utf8_lossy(&bytes[..count]).into_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // The tests were stopped for a while.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next message with that line; those before it are passed over.
    fn hears(&self, wanted: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            let message = self.within(left);
            let message = message.unwrap_or_else(|| panic!("no {wanted}"));
            if message.lines().any(|line| line.starts_with(wanted)) {
                return message;
            }
        }
    }
}

#[test]
fn the_supervisor_hears_that_powd_is_ready_what_it_does_and_that_it_ends() {
    let ear = Ear::new("ear");
    let mut powd = ear.serve("400000", &["-d", "1"]);
    assert_eq!(ear.within(DEADLINE).as_deref(), Some("READY=1\n"));
    powd.connect().ask(b"ready", 1);
    let status = ear.hears("STATUS=");
    assert!(status.contains("hashes/s"), "{status}");
    // Asleep, it is well.
    ear.hears("WATCHDOG=1");
    ear.hears("WATCHDOG=1");
    powd.signal("TERM");
    let stopping = ear.hears("STOPPING=1");
    assert!(stopping.contains("STATUS="), "{stopping}");
    assert!(powd.wait().success());
}

#[test]
fn a_supervisor_that_does_not_read_holds_up_no_end() {
    let ear = Ear::new("deaf");
    let mut powd = ear.serve("0", &["-d", "1"]);
    assert_eq!(ear.within(DEADLINE).as_deref(), Some("READY=1\n"));
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("a socket");
    // Until its queue is full.
    while other.send_to(b"X=1\n", ear.path.path()).is_ok() {}
    powd.signal("TERM");
    assert!(powd.wait().success());
}

#[test]
fn the_supervisor_hears_that_requests_are_taken_for_a_while() {
    let ear = Ear::new("delay");
    let mut powd = ear.serve("0", &["-d", "1", "--shutdown-delay", "1h"]);
    powd.signal("TERM");
    let stopping = ear.hears("STOPPING=1");
    assert!(stopping.contains("taking requests for 1h"), "{stopping}");
    powd.wait_for_log("the delay", |line| line.contains("taking requests for 1h"));
    powd.connect().ask(b"still there", 1);
    powd.signal("TERM");
    assert_eq!(powd.wait().code(), Some(128 + 15));
}

#[test]
fn a_busy_service_is_well() {
    let ear = Ear::new("busy");
    let powd = ear.serve("200000", &["-d", "64", "--workers", "2"]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/help/hashes", |hashes| hashes > 0);
    for _ in 0..3 {
        ear.hears("WATCHDOG=1");
    }
}

/// strace holds one worker in a system call; the others, and the thread that tells, go on.
#[cfg(target_os = "linux")]
#[test]
fn of_a_worker_that_does_not_turn_no_sign_of_life_is_sent() {
    let ear = Ear::new("stuck");
    let powd = ear.serve("200000", &["--workers", "2"]);
    ear.hears("WATCHDOG=1");
    let workers = proc::threads(powd.pid(), "worker-1");
    let thread = workers[0].file_name().expect("its number");
    let polls = "epoll_wait,epoll_pwait";
    let strace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-p"])
        .arg(thread)
        .args(["-e", &format!("trace={polls}")])
        .args(["-e", &format!("inject={polls}:delay_enter=3600000000")])
        .stderr(Stdio::null())
        .spawn();
    let mut strace = match strace {
        Ok(strace) => strace,
        Err(error) => return skip(&format!("strace cannot be started: {error}")),
    };
    let mut ended = false;
    let mut seen = powd.log_length();
    // A worker that is only late is missed once, and then turns again: one that is stuck is missed
    // at three looks, with no sign of life between them.
    until("three looks without a sign of life", || {
        ended = strace.try_wait().expect("a child").is_some();
        let log = powd.log();
        let is_missed = |line: &&String| line.contains("a worker has not turned");
        let looks = log[seen..].iter().filter(is_missed).count();
        // Heard behind the log, so that none of what the log had by then was before it.
        let heard = std::iter::from_fn(|| ear.within(Duration::from_millis(1)));
        if heard.fold(false, |any, message| any | message.contains("WATCHDOG=1")) {
            seen = log.len();
            return false;
        }
        ended || looks >= 3
    });
    if ended {
        // As in the other tests by strace: a container that forbids it cannot allow it itself.
        return leave_out("strace may not trace here");
    }
    strace.kill().expect("it runs");
    strace.wait().expect("a child");
    // Let go, it turns again.
    ear.hears("WATCHDOG=1");
}

#[test]
fn without_a_supervisor_nobody_is_told() {
    let powd = POWD.serve(&["-d", "0"]);
    powd.connect().ask(b"hello", 0);
    assert!(proc::threads(powd.pid(), "supervisor").is_empty());
}

/// A service to which these sockets are handed over.
fn activated(sockets: Vec<OwnedFd>, names: &str, flags: &[&str], listeners: usize) -> Powd {
    // Standard streams carry two of them to the shell, which puts them where they belong.
    let count = sockets.len();
    let script = format!(
        r#"exec 3<&0 4<&1 </dev/null >/dev/null
        LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names} exec "$0" serve --no-pin "$@""#
    );
    let mut command = POWD.in_shell(&script, flags);
    let mut sockets = sockets.into_iter();
    let mut next = || sockets.next().map_or_else(Stdio::null, Stdio::from);
    let (first, second) = (next(), next());
    command.stdout(second);
    Powd::start_with_stdin(command, first, listeners)
}

fn tcp() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[test]
fn sockets_that_are_handed_over_take_the_place_of_flags() {
    let (listener, address) = tcp();
    let path = TestPath::new("activated");
    let file = UnixListener::bind(path.path()).expect("a socket file");
    let sockets = vec![listener.into(), file.into()];
    // Not even looked at: this port cannot be had.
    let flags = ["--listen", "192.0.2.1:1", "-d", "1"];
    let mut powd = activated(sockets, "line@2:other", &flags, 2);
    assert_eq!(powd.address(), address);
    powd.connect().ask(b"over TCP", 2);
    let load = POWD.run(&["load", &path.address(), "-n", "10", "-d", "1"]);
    assert!(load.status.success(), "{load:?}");
    powd.signal("TERM");
    assert!(powd.wait().success());
    assert!(path.path().exists(), "it is not powd's to remove");
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_without_a_file_is_called_by_its_name() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixStream};

    let name = format!("powd-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("a name of this test's own");
    let powd = activated(vec![listener.into()], "line", &["-d", "1"], 1);
    let announced = format!("powd: listening on unix:@{name} ");
    powd.wait_for_log("its name", |line| line.starts_with(&announced));
    let mut stream = UnixStream::connect_addr(&address).expect("powd listens");
    stream.write_all(b"hello\n").expect("powd reads");
    let mut reply = String::new();
    let read = BufReader::new(stream).read_line(&mut reply);
    read.expect("powd answers");
    check(reply.trim_end().as_bytes(), b"hello", 1);
}

#[cfg(feature = "http")]
#[test]
fn sockets_named_http_and_admin_are_the_doors_of_these_names() {
    let ((http, api), (admin, watch)) = (tcp(), tcp());
    let listen = ["--listen", "127.0.0.1:0"];
    let powd = activated(vec![http.into(), admin.into()], "http:admin", &listen, 1);
    assert_eq!((powd.door("http"), powd.door("admin")), (api, watch));
    let health = POWD.run(&["health", &watch.to_string()]);
    assert!(health.status.success(), "{health:?}");
}

#[test]
fn a_socket_that_does_not_listen_is_told_of() {
    let (listener, address) = tcp();
    let connection = TcpStream::connect(address).expect("somebody listens");
    let mut command = POWD.in_shell(
        r#"exec 3<&1 >/dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=wrong exec "$0" serve"#,
        &[],
    );
    command
        .stdin(Stdio::null())
        .stdout(OwnedFd::from(connection));
    let output = command.output().expect("a shell");
    let told = expect_one_line(&output, 1, "a connection");
    assert!(
        told.contains("wrong") && told.contains("Accept=no"),
        "{told}"
    );
    drop(listener);
}

#[test]
fn variables_for_another_process_are_not_taken() {
    let mut command = POWD.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "7");
    let powd = Powd::start(command, 1);
    powd.connect().ask(b"hello", 3);
}

/// The listening socket outlives the service: who connects between two of them waits, and is not
/// refused.
#[test]
fn a_restart_refuses_nobody() {
    const CLIENTS: usize = 4;
    let (listener, address) = tcp();
    let start = || {
        let socket = listener.try_clone().expect("a descriptor is free");
        activated(vec![socket.into()], "line", &["-d", "1"], 1)
    };
    let is_over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let client = || {
            let mut asked = 0;
            while !is_over.load(Relaxed) {
                // Fails the test when it is refused.
                let mut client = Client::connect(address);
                client.send(b"hello\n");
                // One that was accepted when the drain began, and had not asked yet, hears the end
                // of the stream.
                if let Some(reply) = client.next_line() {
                    check(&reply, b"hello", 1);
                    asked += 1;
                }
            }
            asked
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut powd = start();
        for _ in 0..3 {
            powd.until_counter("/replies", |replies| replies > 20);
            powd.signal("TERM");
            assert!(powd.wait().success());
            powd = start();
        }
        powd.until_counter("/replies", |replies| replies > 20);
        is_over.store(true, Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().expect("nobody is refused"))
            .sum::<usize>()
    });
    assert!(asked > 80, "{asked}");
}

#[test]
fn systemd_hands_its_sockets_over() {
    let (_reserved, address) = reserved_port();
    if !is_there("systemd-socket-activate") {
        return skip("systemd-socket-activate is missing");
    }
    let mut command = Command::new("systemd-socket-activate");
    command
        .args(["--listen", &address.to_string(), "--fdname", "line@1"])
        .arg(POWD.path())
        .args(["serve", "--no-pin"]);
    let command = powd_testkit::process::without_variables(command);
    let mut process = Powd::start_with_stdin(command, Stdio::null(), 0);
    // It starts powd for the first client.
    let mut client = None;
    until("somebody to listen", || {
        client = TcpStream::connect(address).ok();
        client.is_some()
    });
    let mut client = Client::new(client.expect("until it is"));
    client.ask(b"hello", 1);
    drop(client);
    process.signal("TERM");
    assert!(process.wait().success());
}
