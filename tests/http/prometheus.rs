//! deploy/prometheus and deploy/grafana, by the programs that read them.

mod scrapes;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::slice;

use powd_testkit::process::Process;
use powd_testkit::{TestPath, is_there, program, reserved_port, skip, until};
use serde_json::Value;

use crate::POWD;
use crate::client::{Http, serve};
use server::Prometheus;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
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

/// Debian's program does not know how Kubernetes is asked for pods: the rest is checked with pods
/// that are named.
#[test]
fn the_job_for_kubernetes_is_right() {
    if !is_there("promtool") {
        return skip("promtool is missing");
    }
    let path = deploy().join("prometheus");
    let rules = path.join("powd.rules.yml");
    let job = fs::read_to_string(path.join("kubernetes.yml")).expect("a job");
    let discovery = "kubernetes_sd_configs:\n      - role: pod\n";
    assert!(job.contains(discovery) && job.contains("- job_name: powd\n"));
    let named = job
        .replace(discovery, "static_configs:\n      - targets: [pod]\n")
        .replace("powd.rules.yml", rules.to_str().expect("text"));
    let directory = TestPath::directory("kubernetes");
    let file = directory.file("prometheus.yml");
    fs::write(&file, named).expect("written");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "config", &file]);
    let output = program::run(promtool, b"");
    assert!(output.status.success(), "{output:?}");
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
    // A broker that is not there does: what is told of the cluster is zeros then.
    let (_reserved, broker) = reserved_port();
    let broker = format!("nats://{broker}");
    let is_member = cfg!(feature = "nats");
    let cluster: &[&str] = if is_member { &["--nats", &broker] } else { &[] };
    let powd = serve(&[&["-d", "1"], cluster].concat());
    let prometheus = Prometheus::watching(powd.door("admin"), "dashboard", 1);
    let mut http = Http::to(&powd);
    let _load = load(&powd.address().to_string(), &[]);
    let dashboard = fs::read(deploy().join("grafana/powd.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_slice(&dashboard).expect("JSON");
    let queries = queries(&dashboard).into_iter();
    let (of_members, of_all): (Vec<_>, Vec<_>) =
        queries.partition(|query| query.contains("powd_cluster_"));
    assert!(of_all.len() > 20, "{of_all:?}");
    assert!(of_members.len() > 5, "{of_members:?}");
    let answered = of_members.iter().filter(|_| is_member).chain(&of_all);
    for query in answered {
        until(query, || {
            http.post("/v1/solve", b"x").expect_solution("x", 1);
            prometheus.has(query)
        });
    }
}

/// As Grafana sends them.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    // A row that is closed holds its panels itself.
    let panels = panels
        .iter()
        .flat_map(|panel| match panel["type"].as_str() {
            Some("row") => panel["panels"].as_array().expect("panels").as_slice(),
            _ => slice::from_ref(panel),
        });
    let targets = panels.flat_map(|panel| {
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

/// Requests to this address, until this is dropped.
fn load(address: &str, flags: &[&str]) -> Process {
    let mut command = POWD.command(&["load", address, "-c", "2", "-s", "3600"]);
    command
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Process::new(command.spawn().expect("powd can be started"))
}
