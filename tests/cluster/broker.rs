//! A `nats-server` on a free port of the loopback.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use powd_testkit::process::Process;
use powd_testkit::{TestPath, is_there, reserved_port, skip, until};
use socket2::Socket;

use crate::nats::Nats;

/// A broker, killed when dropped.
pub(crate) struct Broker {
    address: SocketAddr,
    flags: Vec<String>,
    process: Option<Process>,
    /// Keeps its port while it does not run.
    _reserved: Socket,
    /// Where it keeps streams, if it does: behind the process, which ends first.
    store: Option<TestPath>,
}

/// Where Debian has it, or anywhere in the path.
const PROGRAMS: [&str; 2] = ["nats-server", "/usr/sbin/nats-server"];

impl Broker {
    /// A running broker, if there is such a program here.
    pub(crate) fn start() -> Option<Broker> {
        Broker::start_with(&[])
    }

    /// The same, with flags of its own.
    pub(crate) fn start_with(flags: &[&str]) -> Option<Broker> {
        let mut broker = Broker::stopped()?;
        broker.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        broker.run();
        Some(broker)
    }

    /// A running broker with JetStream, which keeps what it has when it is killed.
    pub(crate) fn start_with_store() -> Option<Broker> {
        Broker::start_with_store_and("")
    }

    /// The same, with these lines in its configuration.
    pub(crate) fn start_with_store_and(settings: &str) -> Option<Broker> {
        let mut broker = Broker::stopped()?;
        let store = TestPath::directory(&format!("store-{}", broker.address.port()));
        let configuration = store.file("nats.conf");
        fs::write(&configuration, settings).expect("a directory of its own");
        broker.flags = ["-js", "-sd", &store.file(""), "-c", &configuration]
            .map(str::to_owned)
            .into();
        broker.store = Some(store);
        broker.run();
        Some(broker)
    }

    /// A broker that does not run yet.
    pub(crate) fn stopped() -> Option<Broker> {
        program()?;
        let (reserved, address) = reserved_port();
        Some(Broker {
            address,
            flags: Vec::new(),
            process: None,
            _reserved: reserved,
            store: None,
        })
    }

    pub(crate) fn run(&mut self) {
        let program = program().expect("it was there");
        let child = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &self.address.port().to_string()])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        self.process = Some(Process::new(child));
        let address = self.address();
        until("a broker", || TcpStream::connect(address).is_ok());
    }

    /// Has it end in good order.
    pub(crate) fn end(&self) {
        let process = self.process.as_ref();
        process.expect("it runs").signal("TERM");
    }

    /// Kills it, with -9.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    pub(crate) fn connect(&self) -> Nats {
        Nats::connect(self.address())
    }
}

/// The program, or a word about its absence.
fn program() -> Option<&'static str> {
    let program = PROGRAMS.into_iter().find(|program| is_there(program));
    if program.is_none() {
        skip("nats-server is missing");
    }
    program
}
