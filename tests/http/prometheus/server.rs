//! A real Prometheus, with the shipped configuration and rules, that scrapes every few seconds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use powd_testkit::process::Process;
use powd_testkit::{TestPath, reserved_port, until};
use serde_json::Value;

use super::deploy;
use crate::client::Http;

/// Its file of log lines, in its directory.
const LOG: &str = "log";

/// A server; ended when dropped, with all that it has stored.
pub(crate) struct Prometheus {
    address: SocketAddr,
    _process: Process,
    directory: TestPath,
}

/// The samples of one series: when, in seconds, and how much.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) samples: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Watches the powd with this admin address, with so many seconds between two scrapes; `name`
    /// is that of the test.
    pub(crate) fn watching(admin: SocketAddr, name: &str, every: u32) -> Prometheus {
        let directory = TestPath::directory(name);
        for name in ["prometheus.yml", "powd.rules.yml"] {
            let text = fs::read_to_string(deploy().join("prometheus").join(name));
            let text = text.expect("a file of the source tree");
            let text = text
                .replace("127.0.0.1:9100", &admin.to_string())
                .replace("15s", &format!("{every}s"));
            fs::write(directory.file(name), text).expect("a directory of our own");
        }
        let log = File::create(directory.file(LOG)).expect("a directory of our own");
        // It cannot be given port 0.
        let (reserved, address) = reserved_port();
        let mut command = Command::new("prometheus");
        command
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::new(command.spawn().expect("prometheus can be started"));
        until("prometheus", || TcpStream::connect(address).is_ok());
        drop(reserved);
        let prometheus = Prometheus {
            address,
            _process: process,
            directory,
        };
        until("it to be ready", || {
            Http::connect(address).get("/-/ready").status == 200
        });
        prometheus
    }

    fn api(&self, path: &str) -> Value {
        let answer = Http::connect(self.address).get(path).json();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    fn results(&self, query: &str) -> Vec<Value> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("/api/v1/query?query={escaped}"));
        data["result"].as_array().expect("results").clone()
    }

    /// Whether a query gives a number.
    pub(crate) fn has(&self, query: &str) -> bool {
        let is_number = |result: &Value| result["value"][1].as_str().is_some_and(|v| v != "NaN");
        self.results(query).iter().any(is_number)
    }

    /// The one number that a query gives; none as long as there is no data for it.
    pub(crate) fn number(&self, query: &str) -> Option<f64> {
        let results = self.results(query);
        assert!(results.len() <= 1, "{query}: {results:?}");
        let value = results.first()?["value"][1].as_str()?.parse();
        Some(value.unwrap_or_else(|_| panic!("{query}: {results:?}")))
    }

    /// All samples of what this selects.
    pub(crate) fn series(&self, selector: &str) -> Vec<Series> {
        let results = self.results(&format!("{selector}[1h]"));
        let series = results.into_iter().map(|result| {
            let labels = serde_json::from_value(result["metric"].clone());
            let mut labels: BTreeMap<String, String> = labels.expect("labels");
            let values = result["values"].as_array().expect("samples").iter();
            let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
            let sample = |pair: &Value| Some((pair[0].as_f64()?, number(&pair[1])?));
            Series {
                name: labels.remove("__name__").expect("a name"),
                labels,
                samples: values.filter_map(sample).collect(),
            }
        });
        series.collect()
    }

    /// The targets that it scrapes, as it sees them.
    pub(crate) fn targets(&self) -> Vec<Value> {
        let targets = self.api("/api/v1/targets?state=active");
        targets["activeTargets"].as_array().expect("a list").clone()
    }

    /// What it tells of itself: the sum of a metric over its labels.
    pub(crate) fn of_itself(&self, metric: &str) -> f64 {
        let metrics = Http::connect(self.address).get("/metrics").text();
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(metric)?;
            let value = match rest.strip_prefix('{') {
                Some(labelled) => labelled.split_once("} ")?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.parse::<f64>().ok()
        });
        let values: Vec<f64> = values.collect();
        assert!(!values.is_empty(), "{metric}");
        values.iter().sum()
    }

    /// What it has said that is more than information.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.file(LOG)).expect("its log");
        // Prometheus 2 writes it in small letters, Prometheus 3 in capitals.
        let is_information = |line: &&str| line.to_lowercase().contains("level=info");
        assert!(log.lines().any(|line| is_information(&line)), "{log}");
        let lines = log.lines().filter(|line| !is_information(line));
        lines.map(str::to_owned).collect()
    }
}
