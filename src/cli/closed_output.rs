//! Notices that nobody reads standard output any more, while nothing is written to it: `powd solve
//! ... | head -1`.

use std::io;
use std::process;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::Error;

/// Ends powd quietly, after `clean_up`, as soon as the other end of its standard output is closed.
pub(super) fn end_with_reader(clean_up: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name("output".to_owned());
    let watch = move || {
        if closes() {
            clean_up();
            process::exit(0);
        }
    };
    thread.spawn(watch).map_err(Error::Thread)?;
    Ok(())
}

/// Waits until standard output is closed at the other end; false where the system cannot tell.
fn closes() -> bool {
    let stdout = io::stdout();
    let closed = PollFlags::ERR | PollFlags::HUP;
    loop {
        // What is closed is told in any case; nothing else is asked for.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut watched, None) {
            Err(Errno::INTR) => {}
            told => return told.is_ok() && watched[0].revents().intersects(closed),
        }
    }
}
