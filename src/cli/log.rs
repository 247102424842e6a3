//! Standard error of the service: nobody who writes to it waits for who reads it.
//!
//! A full pipe blocks a write, and whoever waits for standard error then waits too: the thread that
//! must hear SIGTERM, the acceptor, a worker. So one thread does nothing but write, and the others
//! hand their lines to it. Lines that find [`WAITING`] others before them are lost, which the log
//! says when it is read again, as are those that follow the end of the reader. (Not
//! `tracing-appender`: its end prints to standard output when nobody reads.)

mod format;
mod journal;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use format::Format;

/// Lines that wait to be written: more than a healthy reader ever lets wait, some 100 KiB at most.
const WAITING: usize = 256;

/// How long [`Log::finish`] waits for a reader: a line takes microseconds, a full pipe for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it looks for room meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Takes lines, each in one write, so that it stays whole among others.
#[derive(Clone, Debug)]
pub(super) struct Log {
    entries: SyncSender<Entry>,
    /// Lines that found no room, since the start.
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// All lines before it are written: tell whoever asked.
    Mark(SyncSender<()>),
}

impl Log {
    /// Starts the thread that writes.
    pub(super) fn start() -> io::Result<Log> {
        let (sender, entries) = sync_channel(WAITING);
        let log = Log {
            entries: sender,
            lost: Arc::default(),
        };
        let lost = Arc::clone(&log.lost);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&entries, &lost))?;
        Ok(log)
    }

    /// Waits until what was handed over is written, but not long.
    pub(super) fn finish(&self) {
        let until = Instant::now() + PATIENCE;
        let (tell, written) = sync_channel(1);
        let mut mark = Entry::Mark(tell);
        while let Err(TrySendError::Full(back)) = self.entries.try_send(mark) {
            if Instant::now() >= until {
                return;
            }
            mark = back;
            thread::sleep(LOOK);
        }
        // Without an answer nobody reads: then there is nobody to wait for.
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Write for Log {
    /// Hands one line over. Never fails and never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(entries: &Receiver<Entry>, lost: &AtomicU64) {
    let mut told = 0;
    for entry in entries {
        // Both fail when nobody is left to read or to be told.
        match entry {
            Entry::Line(line) => drop(io::stderr().write_all(&line)),
            Entry::Mark(tell) => drop(tell.send(())),
        }
        let lost = lost.load(Relaxed);
        if lost > told {
            // Behind what waits already, like any other line.
            tracing::warn!(lost, "lines of the log were lost: nobody read it in time");
            told = lost;
        }
    }
}
