//! One round of the load client against a server, and what it cost there.

use std::sync::atomic::AtomicBool;

use powd::load::{self, Options, Phase, Report};
use powd_testkit::bench::{Server, fail};
use serde::Serialize;

/// One round against one server, and what it cost there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// What the client saw.
    pub(crate) report: Report,
    /// CPU time that the server took in the window, in seconds.
    pub(crate) server_cpu_s: f64,
    /// Seeds that the server tried in the window, if it counts them.
    pub(crate) server_hashes: Option<u64>,
    /// The server's resident memory at the end.
    pub(crate) server_rss_kib: u64,
}

/// Runs the load client against `server`. Wrong replies end the benchmark: it would measure
/// nothing.
pub(crate) fn round(server: &Server, options: &Options) -> Round {
    let (mut begin, mut end) = (None, None);
    // Read as late at the end of the window as at its start: what is counted is as long as the
    // window.
    let read = || (server.cpu_seconds(), server.hashes());
    let report = load::run(
        options,
        &mut |progress| match progress.phase {
            Phase::Measuring => {
                begin.get_or_insert_with(read);
            }
            Phase::Done => {
                end.get_or_insert_with(read);
            }
            Phase::Connecting | Phase::WarmUp => {}
        },
        &AtomicBool::new(false),
    );
    let report = report.unwrap_or_else(|error| fail(&format!("the load client: {error}")));
    if report.wrong.total > 0 {
        fail(&format!(
            "{}: wrong replies: {:?}",
            server.name, report.wrong
        ));
    }
    let ((cpu_before, hashes_before), (cpu_after, hashes_after)) = begin
        .zip(end)
        .unwrap_or_else(|| fail("the load client measured nothing"));
    Round {
        server_cpu_s: cpu_after - cpu_before,
        server_hashes: hashes_after
            .zip(hashes_before)
            .map(|(after, before)| after - before),
        server_rss_kib: server.rss_kib(),
        report,
    }
}
