//! A request costs no heap allocation: proved by an allocator that counts, under the real workers.
//!
//! The server runs in this process, so that the allocator is the workers' own. Threads of the test
//! exempt themselves. One test alone: the counter is of the whole process.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use powd::engine;
use powd::line::{Listener, Options, Server, Snapshot};
use powd::sockets::{self, Address};
use powd_core::Difficulty;
use powd_testkit::{Client, lines, until};

/// Allocations by threads that are not the test's.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Set for threads of the test.
    static EXEMPT: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

impl Counting {
    fn count() {
        // A thread that is ending has no flag any more: it counts.
        if !EXEMPT.try_with(Cell::get).unwrap_or(false) {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::count();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counting::count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counting::count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn engine() -> engine::Options {
    engine::Options {
        workers: NonZeroUsize::new(2).expect("two"),
        pin: false,
        ..engine::Options::default()
    }
}

/// Sends all at once and then reads: no second thread, whose start would allocate. It is little
/// enough to fit into the sockets.
fn ask_at_once(client: &mut Client, messages: &[Vec<u8>], nibbles: u8) {
    client.send(&lines(messages));
    for message in messages {
        client.reply(message, nibbles);
    }
}

/// What is asked in one round, the same in each: short and long messages, one at a time and
/// pipelined, on every connection; and a hard one, which both workers search together.
fn round(easy: &mut [(Client, u8)], hard: &mut Client) {
    let short: Vec<Vec<u8>> = (0..200).map(|number| vec![b'x'; number]).collect();
    let long = [vec![b'y'; 1000], vec![b'z'; 8192]];
    for (client, nibbles) in &mut *easy {
        for number in 0..20 {
            client.ask(format!("one at a time {number}").as_bytes(), *nibbles);
        }
        ask_at_once(client, &short, *nibbles);
        if *nibbles < 3 {
            ask_at_once(client, &long, *nibbles);
        }
    }
    hard.ask(b"hard", 5);
}

/// Whether an allocation on a thread that is not exempt is seen: otherwise nothing would be proved.
fn allocations_are_counted() -> bool {
    let thread = std::thread::spawn(|| {
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        drop(std::hint::black_box(Box::new([1u8; 100])));
        ALLOCATIONS.load(Ordering::SeqCst) > before
    });
    thread.join().expect("no panic")
}

#[test]
fn no_request_allocates_on_a_worker() {
    EXEMPT.set(true);
    assert!(allocations_are_counted());
    let listeners: Vec<Listener> = [0, 1, 2, 3, 5]
        .into_iter()
        .map(|nibbles| {
            let difficulty = Difficulty::new(nibbles).expect("0 to 64");
            let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
            let socket = sockets::Listener::bind(address.into()).expect("a free port");
            Listener::new(socket, difficulty)
        })
        .collect();
    let addresses: Vec<_> = listeners
        .iter()
        .map(|listener| match listener.address() {
            Ok(Address::Tcp(address)) => address,
            other => panic!("bound to {other:?}"),
        })
        .collect();
    let server = Server::start(listeners, engine(), Options::default()).expect("it starts");
    let control = server.control();

    // Two connections for each difficulty: one with either worker.
    let mut easy: Vec<(Client, u8)> = (0..4u8)
        .flat_map(|nibbles| [nibbles, nibbles])
        .map(|nibbles| (Client::connect(addresses[usize::from(nibbles)]), nibbles))
        .collect();
    let mut hard = Client::connect(addresses[4]);
    // Warm-up: buffers are made when first lent, and kept.
    round(&mut easy, &mut hard);
    round(&mut easy, &mut hard);

    let mut allocations_of_rounds = || {
        let before = (control.snapshot(), ALLOCATIONS.load(Ordering::SeqCst));
        let mut rounds = 0;
        let helped = |now: &Snapshot| now.help.hashes > before.0.help.hashes;
        until("help in a shared search", || {
            round(&mut easy, &mut hard);
            rounds += 1;
            rounds >= 8 && helped(&control.snapshot())
        });
        let after = (control.snapshot(), ALLOCATIONS.load(Ordering::SeqCst));
        let requests = after.0.requests - before.0.requests;
        assert!(requests > 10_000, "{requests} requests are too few");
        after.1 - before.1
    };
    // On a slow machine more connections need a buffer at the same time than in the warm-up, now
    // and then.
    let mut counts = Vec::new();
    while counts.len() < 3 && counts.last() != Some(&0) {
        counts.push(allocations_of_rounds());
    }
    assert!(
        counts.contains(&0),
        "allocations on workers during 10,000 requests: {counts:?}"
    );
    drop((easy, hard));
    control.drain();
    server.wait().expect("no worker failed");
}
