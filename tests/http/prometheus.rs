//! deploy/prometheus and deploy/grafana, by the programs that read them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use powd_testkit::process::Process;
use powd_testkit::{Powd, program, skip, until};
use serde_json::Value;

use crate::POWD;
use crate::client::{Http, serve};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn the_rules_and_their_tests_are_right() {
    if !is_there("promtool") {
        return skip("promtool is missing");
    }
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "powd.rules.yml"],
        &["test", "rules", "powd.rules.test.yml"],
    ] {
        let mut promtool = Command::new("promtool");
        promtool
            .args(arguments)
            .current_dir(deploy().join("prometheus"));
        let output = program::run(promtool, b"");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

#[test]
fn operating_explains_every_alert() {
    let rules = fs::read_to_string(deploy().join("prometheus/powd.rules.yml")).expect("rules");
    let guide = fs::read_to_string(deploy().with_file_name("OPERATING.md")).expect("a guide");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut number = 0;
    for alert in alerts {
        assert!(guide.contains(&format!("`{alert}`")), "{alert}");
        number += 1;
    }
    assert!(number > 0);
}

#[test]
fn every_query_of_the_dashboard_has_data() {
    if !is_there("prometheus") {
        return skip("prometheus is missing");
    }
    let powd = serve(&["-d", "1"]);
    let prometheus = Prometheus::watching(powd.door("admin"));
    let mut http = Http::to(&powd);
    let _load = load(&powd);
    let dashboard = fs::read(deploy().join("grafana/powd.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_slice(&dashboard).expect("JSON");
    let queries = queries(&dashboard);
    assert!(queries.len() > 20, "{queries:?}");
    for query in queries {
        until(&query, || {
            http.post("/v1/solve", b"x").expect_solution("x", 1);
            prometheus.has(&query)
        });
    }
}

/// As Grafana sends them.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array();
        targets.unwrap_or_else(|| panic!("no queries: {panel}"))
    });
    let queries = targets.map(|target| {
        let query = target["expr"].as_str().expect("a query");
        query
            .replace("$__rate_interval", "10s")
            .replace("$instance", ".*")
    });
    queries.collect()
}

/// Requests over the line protocol, until this is dropped.
fn load(powd: &Powd) -> Process {
    let address = powd.address().to_string();
    let mut command = POWD.command(&["load", &address, "-c", "2", "-s", "3600"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Process::new(command.spawn().expect("powd can be started"))
}

struct Prometheus {
    address: SocketAddr,
    _process: Process,
    directory: PathBuf,
}

impl Prometheus {
    /// With the shipped configuration and rules, but every second.
    fn watching(admin: SocketAddr) -> Prometheus {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory of cargo's");
        for name in ["prometheus.yml", "powd.rules.yml"] {
            let text = fs::read_to_string(deploy().join("prometheus").join(name));
            let text = text.expect("a file of the source tree");
            let text = text
                .replace("127.0.0.1:9100", &admin.to_string())
                .replace("15s", "1s");
            fs::write(directory.join(name), text).expect("a directory of our own");
        }
        // It cannot be given port 0.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let mut command = Command::new("prometheus");
        command
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::new(command.spawn().expect("prometheus can be started"));
        until("prometheus", || TcpStream::connect(address).is_ok());
        Prometheus {
            address,
            _process: process,
            directory,
        }
    }

    /// Whether a query gives a number.
    fn has(&self, query: &str) -> bool {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={escaped}");
        let answer = Http::connect(self.address).get(&path);
        if answer.status == 503 {
            // It still starts.
            return false;
        }
        let answer = answer.json();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let results = answer["data"]["result"].as_array().expect("a vector");
        let is_number = |result: &Value| result["value"][1].as_str().is_some_and(|v| v != "NaN");
        results.iter().any(is_number)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
