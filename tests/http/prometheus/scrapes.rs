//! Scrapes of a service under load: none is missed, and what they tell is sane.

use powd_testkit::{is_there, skip, until};

use super::load;
use super::server::{Prometheus, Series};
use crate::client::{Http, serve_bounded};

/// `POWD_SCRAPES=60` takes as many.
const SCRAPES: u32 = 4;

/// Between two of them, in seconds. As long a scrape may take, and three clients, the service and
/// other tests want the same CPUs.
const EVERY: u32 = 5;

/// That of all requests.
const DIFFICULTY: u8 = 2;

#[test]
fn no_scrape_of_a_service_under_load_is_missed() {
    if !is_there("prometheus") {
        return skip("prometheus is missing");
    }
    let scrapes = std::env::var("POWD_SCRAPES");
    let scrapes = scrapes.map_or(SCRAPES, |number| number.parse().expect("a number"));
    let difficulty = DIFFICULTY.to_string();
    let powd = serve_bounded(&["-d", &difficulty]);
    let http = format!("http://{}", powd.door("http"));
    let batch = ["--batch", "-P", "16", "-d", &difficulty];
    let _loads = [
        load(&powd.address().to_string(), &["-P", "4"]),
        load(&http, &["-d", &difficulty]),
        load(&http, &batch),
    ];
    // Something to count among the errors.
    Http::to(&powd)
        .post("/v1/solve?difficulty=11", b"x")
        .expect_problem(422, "difficulty");

    let prometheus = Prometheus::watching(powd.door("admin"), "scrapes", EVERY);
    for number in 1..=scrapes {
        until(&format!("scrape {number}"), || {
            let scraped = prometheus.number("count_over_time(up[1h])");
            scraped >= Some(number.into())
        });
    }

    let never_down = prometheus.number("min_over_time(up[1h])");
    assert_eq!(never_down, Some(1.0));
    let targets = prometheus.targets();
    assert_eq!(targets.len(), 1, "{targets:?}");
    assert_eq!(targets[0]["health"], "up", "{targets:?}");
    assert_eq!(targets[0]["lastError"], "", "{targets:?}");
    for fault in [
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_target_scrapes_sample_out_of_order_total",
        "prometheus_target_scrapes_sample_out_of_bounds_total",
        "prometheus_target_scrapes_exceeded_sample_limit_total",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_tsdb_out_of_order_samples_total",
    ] {
        assert_eq!(prometheus.of_itself(fault), 0.0, "{fault}");
    }
    assert_eq!(prometheus.complaints(), Vec::<String>::new());

    let counters = prometheus.series(r#"{__name__=~".+_(total|bucket|count|sum)",job="powd"}"#);
    assert!(counters.len() > 50, "{} counters", counters.len());
    counters.iter().for_each(expect_no_fall);
    expect_growth(&prometheus, &counters);
    let longest = prometheus.number("max_over_time(scrape_duration_seconds[1h])");
    println!(
        "{} series; the longest scrape took {longest:?} s",
        counters.len()
    );
}

/// A counter, each of whose samples is later than the one before, and not less.
fn expect_no_fall(counter: &Series) {
    let pairs = counter.samples.windows(2);
    for pair in pairs {
        let [(before, less), (after, more)] = pair else {
            unreachable!("windows of two");
        };
        assert!(before < after && less <= more, "{counter:?}");
    }
}

/// What the load must have moved, and in which proportion.
fn expect_growth(prometheus: &Prometheus, counters: &[Series]) {
    // From the first to the last sample, over all series of a name that have this label, if any.
    let growth = |name: &str, label: Option<(&str, &str)>| -> f64 {
        let is_meant = |series: &&Series| {
            let has =
                |(name, value): (&str, &str)| series.labels.get(name).is_some_and(|v| v == value);
            series.name == name && label.is_none_or(has)
        };
        let meant: Vec<_> = counters.iter().filter(is_meant).collect();
        assert!(!meant.is_empty(), "no {name} {label:?}");
        let growth = meant.iter().map(|series| {
            let first = series.samples.first().expect("a sample");
            let last = series.samples.last().expect("a sample");
            last.1 - first.1
        });
        growth.sum()
    };
    for door in ["line", "http"] {
        let door = Some(("door", door));
        let replies = growth("powd_replies_total", door);
        assert!(replies > 0.0, "{door:?}");
        assert!(growth("powd_requests_total", door) > 0.0, "{door:?}");
        // Each reply took some time, which stands in one bucket.
        let timed = growth("powd_request_duration_seconds_count", door);
        println!("{door:?}: {replies} replies, {timed} timed");
        assert!(
            (timed - replies).abs() <= 0.01 * replies + 100.0,
            "{door:?}: {timed} of {replies}"
        );
    }
    let per_reply = growth("powd_hashes_total", None) / growth("powd_replies_total", None);
    let expected = 16f64.powi(DIFFICULTY.into());
    println!("{per_reply} hashes a reply, {expected} expected");
    // More than chance explains, and less than would hide an error by a factor.
    assert!(
        (0.7..1.5).contains(&(per_reply / expected)),
        "{per_reply} hashes a reply"
    );
    assert!(growth("powd_worker_busy_seconds_total", None) > 0.0);
    assert_eq!(growth("powd_false_hits_total", None), 0.0);
    assert_eq!(growth("powd_errors_total", Some(("code", "failed"))), 0.0);
    for rate in [
        "sum(rate(powd_hashes_total[1m]))",
        "sum(rate(powd_replies_total[1m]))",
        "avg(rate(powd_worker_busy_seconds_total[1m]))",
        "histogram_quantile(0.99, sum by (le) (rate(powd_request_duration_seconds_bucket[1m])))",
    ] {
        let value = prometheus.number(rate);
        println!("{rate}: {value:?}");
        assert!(value > Some(0.0), "{rate}: {value:?}");
    }
}
