//! A real HAProxy, and the configuration that deploy/haproxy has for it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use powd_testkit::oracle::check;
use powd_testkit::{DEADLINE, Powd, TestPath, lines, reserved_port, until};

use crate::POWD;
use crate::limits::connect_from;

/// A running HAProxy, stopped when dropped.
pub(crate) struct HaProxy {
    process: Child,
    _config: TestPath,
}

impl HaProxy {
    /// Starts it, if there is such a program here. `name` tells those of one test program apart.
    pub(crate) fn start(name: &str, config: &str) -> Option<HaProxy> {
        let path = TestPath::new(name);
        std::fs::write(path.path(), config).expect("a directory for files");
        let mut haproxy = Command::new("haproxy");
        match haproxy.args(["-q", "-db", "-f"]).arg(path.path()).spawn() {
            Ok(process) => Some(HaProxy {
                process,
                _config: path,
            }),
            Err(error) => {
                powd_testkit::skip(&format!("haproxy cannot be started: {error}"));
                None
            }
        }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Clients at once, and the requests of each connection.
const CLIENTS: usize = 8;
const REQUESTS: usize = 20;

/// One connection with some requests. False: it was cut.
fn ask(address: SocketAddr, number: usize) -> bool {
    let messages: Vec<String> = (0..REQUESTS)
        .map(|request| format!("message {request} of {number}"))
        .collect();
    let stream = TcpStream::connect(address).expect("the balancer listens");
    let sent = (&stream).write_all(&lines(&messages));
    if sent.is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return false;
    }
    stream.set_read_timeout(Some(DEADLINE)).expect("above 0");
    let mut replies = Vec::new();
    // A server that is killed may reset the connection.
    let _ = (&stream).read_to_end(&mut replies);
    let mut replies = replies.split_inclusive(|&byte| byte == b'\n');
    // Every reply that comes is right, and in its place.
    messages.iter().all(|message| {
        let line = replies.next().and_then(|line| line.strip_suffix(b"\n"));
        line.is_some_and(|line| {
            check(line, message.as_bytes(), 3);
            true
        })
    })
}

/// Runs its clients no longer than it lives: a failure must not leave them running.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn the_balancers_configuration_loses_no_answer_but_those_of_a_server_that_is_killed() {
    let serve = || {
        POWD.serve(&[
            "-d",
            "3",
            "--workers",
            "1",
            "--admin",
            "127.0.0.1:0",
            "--proxy-protocol",
            "127.0.0.1",
            "--allow",
            "127.0.0.1,127.0.0.2",
            "--shutdown-delay",
            "2s",
        ])
    };
    let [mut one, two, three] = [serve(), serve(), serve()];
    let (_reserved, address) = reserved_port();
    // The file as it is, with other addresses, and without waiting for a second.
    let mut config = include_str!("../../deploy/haproxy/haproxy.cfg").to_owned();
    config = config.replace("bind :20000", &format!("bind {address}"));
    config = config.replace("inter 1s", "inter 50ms");
    for (name, powd) in [("one 10.0.0.11:20000", &one), ("two 10.0.0.12:20000", &two)] {
        assert!(config.contains(name), "{name}");
        config = config.replace(name, &server(name, powd));
    }
    config += &format!("    server {}\n", server("three", &three));
    let Some(_haproxy) = HaProxy::start("balancer", &config) else {
        return;
    };
    until("the balancer", || TcpStream::connect(address).is_ok());
    // Who is let in is decided by the client's own address.
    connect_from("127.0.0.2", address).ask(b"hello", 3);
    let mut denied = connect_from("127.0.0.3", address);
    denied.error("denied");
    let (stop, cut) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (stop, cut) = (&stop, &cut);
            scope.spawn(move || {
                let mut number = client;
                while !stop.load(Relaxed) {
                    cut.fetch_add(usize::from(!ask(address, number)), Relaxed);
                    number += CLIENTS;
                }
            });
        }
        let ends = Ends(&stop);
        for powd in [&one, &two, &three] {
            powd.until_counter("/replies", |replies| replies > 100);
        }
        one.signal("TERM");
        assert!(one.wait().success());
        assert_eq!(cut.load(Relaxed), 0, "nothing is lost in a drain");
        two.signal("KILL");
        let before = three.counter("/replies");
        three.until_counter("/replies", |replies| replies > before + 2000);
        drop(ends);
    });
    let cut = cut.load(Relaxed);
    // Each client once, or twice: the kernel closes the connections of a process that ends before
    // its listener, in whose queue the next connection of the same client may wait by then.
    assert!(cut <= 2 * CLIENTS, "{cut} connections were cut");
}

/// The line of a server, which is asked for its health at its own admin address.
fn server(name: &str, powd: &Powd) -> String {
    let name = name.split(' ').next().expect("a name");
    let admin = powd.door("admin").port();
    format!("{name} {} port {admin}", powd.address())
}
