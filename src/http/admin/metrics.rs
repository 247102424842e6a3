//! `GET /metrics`: the counters as Prometheus and OpenMetrics write them.
//!
//! Read when asked for: nothing is counted twice, and nobody who answers requests does anything for
//! it.

use std::fmt;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::IntoResponse as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::watched::{Latencies, Watched};
use crate::engine::Histogram;
use crate::http::accept::{accepted, is};
use crate::problem::{Code, Problem};

const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers in the format that the scraper asks for.
pub(super) async fn metrics(
    State(watched): State<Watched>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let wants_openmetrics = accepted(&headers).any(|name| is(name, "application/openmetrics-text"));
    let mut registry = Registry::default();
    registry.register_collector(Box::new(watched));
    let mut body = String::new();
    let (written, kind) = match wants_openmetrics {
        true => (text::encode(&mut body, &registry), OPENMETRICS),
        false => (prometheus_text::encode(&mut body, &registry), PROMETHEUS),
    };
    written.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok(([(CONTENT_TYPE, kind)], body).into_response())
}

/// Metrics of one name, one after the other.
struct Family<'a>(MetricEncoder<'a>);

impl Family<'_> {
    fn add(&mut self, labels: &impl EncodeLabelSet, metric: &impl EncodeMetric) -> fmt::Result {
        metric.encode(self.0.encode_family(labels)?)
    }
}

/// What is written: families, each with its name, its help and its type.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &'s str,
        kind: MetricType,
    ) -> Result<Family<'s>, fmt::Error> {
        let family = self.0.encode_descriptor(name, help, None, kind)?;
        Ok(Family(family))
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        ConstCounter::new(count).encode(self.family(name, help, MetricType::Counter)?.0)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        // The crate has no unsigned gauges; none of these gets so large.
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        ConstGauge::new(value).encode(self.family(name, help, MetricType::Gauge)?.0)
    }

    #[cfg(target_os = "linux")]
    fn gauge_of_seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.family(name, help, MetricType::Gauge)?.0)
    }
}

impl Collector for Watched {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.encode_build(&mut writer)?;
        self.encode_engine(&mut writer)?;
        self.encode_doors(&mut writer)?;
        self.encode_durations(&mut writer)?;
        #[cfg(feature = "nats")]
        self.encode_cluster(&mut writer)?;
        encode_process(self, &mut writer)
    }
}

impl Watched {
    fn encode_build(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", env!("POWD_REVISION")),
            ("kernel", self.kernel()),
        ];
        let mut info = writer.family("powd_build_info", "What runs here", MetricType::Gauge)?;
        info.add(&labels, &ConstGauge::new(1i64))
    }

    fn encode_engine(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let busy = self.busy();
        writer.gauge("powd_workers", "Worker threads", busy.len() as u64)?;
        let mut family = writer.family(
            "powd_worker_busy_seconds",
            "Time in which a worker was not waiting",
            MetricType::Counter,
        )?;
        for (worker, time) in busy.iter().enumerate() {
            let seconds = ConstCounter::new(time.as_secs_f64());
            family.add(&[("worker", worker as u64)], &seconds)?;
        }
        let totals = self.engine();
        for (name, help, count) in [
            ("powd_hashes", "Seeds tried, help included", totals.hashes),
            (
                "powd_searches_cancelled",
                "Searches stopped because their client was gone, or the time of a drain was over",
                totals.cancelled_searches,
            ),
            (
                "powd_searches_shared",
                "Searches that were opened to idle workers",
                totals.searches_shared,
            ),
            (
                "powd_help_hashes",
                "Seeds that workers tried for the searches of others",
                totals.help_hashes,
            ),
            (
                "powd_false_hits",
                "Hits of a kernel that the check did not confirm: each one is a bug, none was sent",
                totals.false_hits,
            ),
        ] {
            writer.counter(name, help, count)?;
        }
        writer.gauge(
            "powd_searches_in_progress",
            "Searches under way, or waiting for their first turn",
            self.searches_in_progress(),
        )
    }

    fn encode_doors(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let doors = self.doors();
        for (name, help, number) in [
            (
                "powd_requests",
                "Messages that a seed was asked for",
                (|door| door.requests) as fn(&super::watched::Door) -> u64,
            ),
            ("powd_replies", "Seeds answered", |door| door.replies),
            ("powd_connections_opened", "Connections accepted", |door| {
                door.connections_opened
            }),
        ] {
            let mut family = writer.family(name, help, MetricType::Counter)?;
            for door in &doors {
                family.add(&[("door", door.door)], &ConstCounter::new(number(door)))?;
            }
        }
        let mut family =
            writer.family("powd_connections", "Connections open", MetricType::Gauge)?;
        for door in &doors {
            let open = i64::try_from(door.connections).unwrap_or(i64::MAX);
            family.add(&[("door", door.door)], &ConstGauge::new(open))?;
        }
        let mut family = writer.family(
            "powd_errors",
            "Errors answered in place of seeds",
            MetricType::Counter,
        )?;
        for door in &doors {
            for errors in &door.errors {
                let labels = [("door", door.door), ("code", errors.code)];
                family.add(&labels, &ConstCounter::new(errors.count))?;
            }
        }
        let mut family = writer.family(
            "powd_connections_refused",
            "Connections refused",
            MetricType::Counter,
        )?;
        for (reason, count) in self.refused() {
            family.add(&[("reason", reason)], &ConstCounter::new(count))?;
        }
        Ok(())
    }

    fn encode_durations(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut family = writer.family(
            "powd_request_duration_seconds",
            "From a request to its answer, by the difficulty asked for",
            MetricType::Histogram,
        )?;
        for door in self.doors() {
            for latencies in &door.durations {
                let labels = [
                    ("door", door.door.to_owned()),
                    ("difficulty", latencies.difficulty.to_string()),
                ];
                encode_histogram(latencies, family.0.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "nats")]
impl Watched {
    fn encode_cluster(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(cluster) = self.cluster() else {
            return Ok(());
        };
        for (name, help, value) in [
            (
                "powd_cluster_connected",
                "Whether the broker is there",
                u64::from(cluster.is_connected),
            ),
            (
                "powd_cluster_members",
                "Members heard lately, this one included",
                cluster.members.len() as u64,
            ),
            (
                "powd_cluster_hashes_per_second",
                "Seeds tried per second, by all members together",
                cluster.hash_rate(),
            ),
            (
                "powd_cluster_helping",
                "Searches of other members that workers of this one are at",
                cluster.helping as u64,
            ),
        ] {
            writer.gauge(name, help, value)?;
        }
        for (name, help, count) in [
            (
                "powd_cluster_searches",
                "Searches that other members were asked to help with",
                self.engine().appeals,
            ),
            (
                "powd_cluster_help_hashes_given",
                "Seeds tried for searches of other members",
                self.engine().guest_hashes,
            ),
            (
                "powd_cluster_help_hashes_received",
                "Seeds that other members say they tried for searches of this one",
                cluster.help_hashes_received,
            ),
            (
                "powd_cluster_hashes_wasted",
                "Those of them that were tried when the search was over already",
                cluster.hashes_wasted,
            ),
            (
                "powd_cluster_winners",
                "Seeds that other members found for this one",
                cluster.winners,
            ),
            (
                "powd_cluster_wrong_winners",
                "Seeds of other members that were no solution",
                cluster.wrong_winners,
            ),
        ] {
            writer.counter(name, help, count)?;
        }
        let mut family = writer.family(
            "powd_cluster_messages_refused",
            "Messages of other members that were not heard",
            MetricType::Counter,
        )?;
        for (reason, count) in cluster.messages_refused {
            family.add(&[("reason", reason)], &ConstCounter::new(count))?;
        }
        Ok(())
    }
}

fn encode_histogram(latencies: &Latencies, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    let bounds = Histogram::bounds().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latencies.counts.iter().copied()).collect();
    let count = latencies.counts.iter().sum();
    encoder.encode_histogram::<[(&str, &str); 0]>(latencies.seconds, count, &buckets, None)
}

/// What Prometheus' own client libraries tell of any process.
#[cfg(target_os = "linux")]
fn encode_process(watched: &Watched, writer: &mut Writer<'_>) -> fmt::Result {
    // Where /proc is missing, so are these.
    let Ok(process) = procfs::process::Process::myself() else {
        return Ok(());
    };
    if let Ok(stat) = process.stat() {
        let ticks = stat.utime + stat.stime;
        let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
        let cpu = ConstCounter::new(seconds);
        let help = "User and system CPU time spent";
        cpu.encode(
            writer
                .family("process_cpu_seconds", help, MetricType::Counter)?
                .0,
        )?;
        writer.gauge(
            "process_resident_memory_bytes",
            "Resident memory size",
            stat.rss * procfs::page_size(),
        )?;
        writer.gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size",
            stat.vsize,
        )?;
        writer.gauge(
            "process_threads",
            "Number of OS threads",
            u64::try_from(stat.num_threads).unwrap_or_default(),
        )?;
    }
    if let Ok(open) = process.fd_count() {
        writer.gauge("process_open_fds", "Open file descriptors", open as u64)?;
    }
    if let Ok((soft, _)) = rlimit::Resource::NOFILE.get() {
        writer.gauge(
            "process_max_fds",
            "Most file descriptors that can be open",
            soft,
        )?;
    }
    writer.gauge_of_seconds(
        "process_start_time_seconds",
        "Start of the process, in seconds since 1970",
        watched.start_time(),
    )
}

#[cfg(not(target_os = "linux"))]
fn encode_process(_: &Watched, _: &mut Writer<'_>) -> fmt::Result {
    Ok(())
}
