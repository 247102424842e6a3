//! Small servers for the load client: they answer as a test wants them to, rightly, wrongly, late
//! or never.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::oracle;

/// A server with one thread per connection; `behaviour` gets the connection's number and its
/// stream.
pub fn serve(behaviour: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let behaviour = Arc::new(behaviour);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let behaviour = Arc::clone(&behaviour);
            thread::spawn(move || behaviour(number, stream));
        }
    });
    address
}

/// A server that answers each line with what `answer` makes of it.
pub fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    serve(move |_, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if out.write_all(answer(&line).as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A server that answers rightly at difficulty 0, and how many requests it has seen.
pub fn counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = answering(move |message| {
        count.fetch_add(1, Ordering::Relaxed);
        reply(message) + "\n"
    });
    (address, seen)
}

/// The right reply at difficulty 0, without its newline.
pub fn reply(message: &str) -> String {
    let hash = oracle::hash(b"abcde", message.as_bytes());
    format!("{message},abcde,{hash}")
}
