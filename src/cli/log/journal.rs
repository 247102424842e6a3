//! Standard error that is the journal of systemd: each line begins with its priority, so that
//! `journalctl --priority` finds it (sd-daemon(3)).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;
use std::{env, fmt, io};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error goes to the journal. The variable alone does not say so: children inherit
/// it, whatever they write to ($JOURNAL_STREAM in systemd.exec(5)).
static IS_READ: LazyLock<bool> = LazyLock::new(|| {
    let Ok(journal) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stream = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let stream = stream.and_then(|stream| stream.metadata());
    stream.is_ok_and(|stream| format!("{}:{}", stream.dev(), stream.ino()) == journal)
});

/// What a line of that level begins with: nothing where it is not for the journal.
pub(super) fn priority(level: Level) -> &'static str {
    if !*IS_READ {
        return "";
    }
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Events as the format in it writes them, in the journal behind their priority.
pub(super) struct Prioritized<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}
