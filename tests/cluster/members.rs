//! Members as processes, and what each tells of the cluster.

use std::collections::HashSet;

use powd_testkit::{Client, Powd, until};
use serde_json::Value;

use crate::POWD;
use crate::broker::Broker;
use crate::http::Http;

/// What no search finds in the time of a test.
pub(crate) const HOPELESS: &str = "12";

/// A member with one worker, all its doors open.
pub(crate) fn member(broker: &Broker, flags: &[&str]) -> Powd {
    let url = broker.url();
    let doors = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let joined = ["--nats", &url, "--workers", "1", "--max-difficulty", "20"];
    POWD.serve(&[&doors[..], &joined, flags].concat())
}

/// So many members that can be asked, and know each other.
pub(crate) fn members<const N: usize>(broker: &Broker, flags: &[&str]) -> [Powd; N] {
    let mut nats = broker.connect();
    nats.subscribe("powd.cluster.beat");
    nats.flush();
    let members = [(); N].map(|()| member(broker, flags));
    // The broker has what a member subscribes to before it has its first sign of life.
    let mut heard = HashSet::new();
    while heard.len() < N {
        let beat = nats.next().text();
        heard.insert(beat.split(' ').nth(1).map(str::to_owned));
    }
    for member in &members {
        until("all members to know each other", || {
            cluster(member)["members"].as_array().map(Vec::len) == Some(N)
        });
    }
    members
}

/// What a member shows of its cluster.
pub(crate) fn cluster(member: &Powd) -> Value {
    status(member)["cluster"].clone()
}

pub(crate) fn status(member: &Powd) -> Value {
    serde_json::from_slice(&get(member, "/status")).expect("JSON")
}

/// What the admin address answers.
pub(crate) fn get(member: &Powd, path: &str) -> Vec<u8> {
    Http::connect(member.door("admin")).get(path).body
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn operating_explains_every_metric() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let guide = include_str!("../../OPERATING.md");
    let (_, metrics) = guide.split_once("## The metrics").expect("a section");
    let (metrics, _) = metrics.split_once("\n## ").expect("another one");
    let names = |text: &str, start: &str| -> HashSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        let words = lines.filter_map(|line| line.split([' ', '`']).next());
        let own = words.filter(|name| name.starts_with("powd_"));
        own.map(str::to_owned).collect()
    };
    let member = member(&broker, &[]);
    let told = String::from_utf8(get(&member, "/metrics")).expect("text");
    assert_eq!(names(metrics, "| `"), names(&told, "# TYPE "));
}

/// Waits until a member's workers search for another one, and have come so far. It shows that, too:
/// what it shows is renewed now and then, and an end is waited for by it.
pub(crate) fn until_helping(member: &Powd) {
    let before = number(&cluster(member)["help_hashes_given"]);
    until("help", || {
        let cluster = cluster(member);
        let given = number(&cluster["help_hashes_given"]);
        given > before + 1_000_000 && number(&cluster["helping"]) > 0
    });
}

/// Waits until a member's workers search for nobody.
pub(crate) fn until_stopped(member: &Powd) {
    until("an end of its help", || {
        number(&cluster(member)["helping"]) == 0
    });
    member.until_quiet();
}

/// A client that waits for an answer that does not come, at the hopeless listener of a member.
pub(crate) fn hopeless(member: &Powd) -> Client {
    let client = member.connect();
    client.send(b"hopeless\n");
    client
}
