//! `--log-format`: lines for people, or one JSON object per line for programs.

use std::io::{self, Write};

use serde::Serialize;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Log;
use super::journal::{Prioritized, priority};

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    Text,
    Json,
}

impl Format {
    /// Everything that is traced goes to `log` from here on.
    pub(in crate::cli) fn install(self, log: &Log) {
        let log = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .with_ansi(false)
            .with_target(false)
            // It would panic where it cannot tell them.
            .log_internal_errors(false);
        // The client of the broker tells each attempt to reach it, every second.
        let own = Targets::new().with_target("powd", Level::INFO);
        match self {
            Format::Text => {
                let subscriber = subscriber.map_event_format(Prioritized);
                subscriber.finish().with(own).init();
            }
            Format::Json => {
                let subscriber = subscriber.json().flatten_event(true);
                let subscriber = subscriber.map_event_format(Prioritized);
                subscriber.finish().with(own).init();
            }
        }
    }

    /// The line that tells the counters. They are an object in it, which an event of `tracing`
    /// cannot have.
    pub(in crate::cli) fn counters(self, counters: &impl Serialize) -> String {
        let line = match self {
            Format::Text => serde_json::to_string(counters),
            Format::Json => {
                let mut timestamp = String::new();
                let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
                serde_json::to_string(&Counters {
                    timestamp,
                    level: "INFO",
                    message: "counters",
                    counters,
                })
            }
        };
        line.unwrap_or_default() + "\n"
    }

    /// Takes the lines that powd prints as a command: what it announces, or why it ends.
    pub(in crate::cli) fn lines(self, level: Level, log: &Log) -> Lines {
        let log = log.clone();
        Lines {
            format: self,
            level,
            log,
        }
    }
}

#[derive(Serialize)]
struct Counters<'a, C> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    counters: &'a C,
}

/// Lines that begin with `powd: `, each in one write. As JSON they are events like all others.
#[derive(Debug)]
pub(in crate::cli) struct Lines {
    format: Format,
    level: Level,
    log: Log,
}

impl Write for Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.format == Format::Text {
            let mut told = Vec::with_capacity(lines.len());
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                told.extend_from_slice(priority(self.level).as_bytes());
                told.extend_from_slice(line);
            }
            self.log.write_all(&told)?;
            return Ok(lines.len());
        }
        for line in String::from_utf8_lossy(lines).lines() {
            let message = line.strip_prefix("powd: ").unwrap_or(line);
            match self.level {
                Level::ERROR => tracing::error!("{message}"),
                _ => tracing::info!("{message}"),
            }
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
