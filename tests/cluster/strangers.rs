//! Members in other languages, from CLUSTER.md alone: one that helps, one that lies, one that
//! speaks another version.

use powd_testkit::wait::until_still;
use powd_testkit::{Client, Powd, until};

use crate::broker::Broker;
use crate::members::{HOPELESS, cluster, get, hopeless, member, members, number};
use crate::nats::{Message, Nats};

const ME: &str = "0badcafe0badcafe";

/// A seed of eleven characters for `hello`, with nine zeros: what the owner does not find in the
/// time of a test.
const SEED: &str = "Dq6KSQpvA5m";

/// The fields of a line.
fn fields(message: &Message) -> Vec<String> {
    let text = message.text();
    let line = text.lines().next().unwrap_or_default();
    line.split(' ').map(str::to_owned).collect()
}

/// A member that is asked for more than it finds in the time of a test, and a helper that has heard
/// of it.
struct Asked {
    owner: Powd,
    client: Client,
    nats: Nats,
    /// What the owner and its search are called.
    id: String,
    search: String,
}

fn asked(broker: &Broker) -> Asked {
    // What the owner tries is drawn from this: always the same seeds, and no solution is among the
    // first 3.7 * 10^9.
    let owner = member(broker, &["-d", "9", "--rng-seed", "1"]);
    let client = owner.connect();
    client.send(b"hello\n");
    let mut nats = broker.connect();
    nats.subscribe("powd.cluster.*");
    nats.subscribe(&format!("powd.cluster.{ME}.*"));
    let announcement = nats.wait_for(|message| message.subject == "powd.cluster.announce");
    let [version, id, job, epoch, _, length, bytes] = &fields(&announcement)[..] else {
        panic!("{announcement:?}");
    };
    assert_eq!((&**version, &**length, &**bytes), ("1", "11", "5"));
    Asked {
        id: id.clone(),
        search: format!("{job} {epoch}"),
        owner,
        client,
        nats,
    }
}

/// Asks for a number.
fn claimed(nats: &mut Nats, owner: &str, search: &str, claim: u32) -> String {
    let subject = format!("powd.cluster.{owner}.claim");
    nats.publish(&subject, format!("1 {ME} {search} {claim}").as_bytes());
    let mine = format!("powd.cluster.{ME}.number");
    let answer = nats.wait_for(|message| message.subject == mine);
    let expected = format!("1 {owner} {search} {claim} ");
    let text = answer.text();
    let number = text
        .strip_prefix(&expected)
        .expect("an answer to this claim");
    let (number, message) = number.split_once('\n').expect("a message behind it");
    assert_eq!(message, "hello");
    number.to_owned()
}

#[test]
fn a_helper_in_another_language_gets_numbers_and_is_believed_when_it_is_right() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let Asked {
        owner,
        mut client,
        mut nats,
        id,
        search,
    } = asked(&broker);
    let first = claimed(&mut nats, &id, &search, 1);
    let number = claimed(&mut nats, &id, &search, 1);
    assert_ne!(first, number, "no number twice, not even for one claim");
    let report = format!("1 {ME} {search} {number} 123456789");
    nats.publish(&format!("powd.cluster.{id}.report"), report.as_bytes());
    until("its report", || {
        super::members::number(&cluster(&owner)["help_hashes_received"]) == 123_456_789
    });
    let find = format!("1 {ME} {search} {number} 123456789 {SEED}");
    nats.publish(&format!("powd.cluster.{id}.found"), find.as_bytes());
    nats.wait_for(|message| {
        message.subject == "powd.cluster.over" && message.text() == format!("1 {id} {search}")
    });
    assert_eq!(client.reply(b"hello", 9), SEED.as_bytes());
    // Said again, it is late; the owner says once more that it is over.
    nats.publish(&format!("powd.cluster.{id}.found"), find.as_bytes());
    nats.wait_for(|message| message.subject == format!("powd.cluster.{ME}.over"));
}

#[test]
fn a_liar_is_counted_named_and_not_heard() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let Asked {
        owner,
        mut client,
        mut nats,
        id,
        search,
    } = asked(&broker);
    let given = claimed(&mut nats, &id, &search, 7);
    let found = format!("powd.cluster.{id}.found");
    let find = |seed: &str| format!("1 {ME} {search} {given} 5 {seed}");
    nats.publish(&found, find("abcdefghijk").as_bytes());
    until("a wrong winner", || {
        number(&cluster(&owner)["wrong_winners"]) == 1
    });
    owner.wait_for_log("its name", |line| {
        line.contains(ME) && line.contains("struck")
    });
    // Not even when it is right.
    let refused = |owner| number(&cluster(owner)["messages_refused"]);
    let before = refused(&owner);
    nats.publish(&found, find(SEED).as_bytes());
    until("a message that is refused", || refused(&owner) > before);
    assert_eq!(number(&cluster(&owner)["winners"]), 0);
    // Another one is heard.
    let find = find(SEED).replace(ME, "00000000000000aa");
    nats.publish(&found, find.as_bytes());
    client.reply(b"hello", 9);
}

#[test]
fn other_versions_and_floods_do_no_harm_and_are_named() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [owner] = members(&broker, &["-d", HOPELESS]);
    let mut nats = broker.connect();
    let search = "5ea5c4a11ab1e000 1";
    for line in [
        format!("2 {ME} anything at all"),
        format!("1 {ME} {search} 65 11 5"),
        "what is this?".to_owned(),
        String::new(),
    ] {
        nats.publish("powd.cluster.announce", line.as_bytes());
    }
    let refused = |reason: &str| {
        let metrics = String::from_utf8(get(&owner, "/metrics")).expect("text");
        let name = format!("powd_cluster_messages_refused_total{{reason=\"{reason}\"}} ");
        let mut lines = metrics.lines();
        let count = lines
            .find_map(|line| line.strip_prefix(&*name))
            .expect("a counter");
        count.parse::<u64>().expect("a number")
    };
    until("all to be counted", || {
        (refused("version"), refused("bounds"), refused("malformed")) == (1, 1, 2)
    });
    // It is one only if all of it comes within a second or two: there may be more than one.
    until("a flood", || {
        for _ in 0..3000 {
            let line = format!("1 {ME} {search} 8 11 5");
            nats.publish("powd.cluster.announce", line.as_bytes());
        }
        nats.flush();
        until_still("all of it to be heard", || Some(refused("flood")));
        refused("flood") > 1000
    });
    for reason in ["version", "bounds", "malformed", "flood"] {
        owner.wait_for_log(reason, |line| {
            line.contains(&format!("reason=\"{reason}\""))
        });
    }
    // Somebody announces what it never gives numbers for: others are helped all the same.
    let _client = hopeless(&owner);
    let helper = member(&broker, &[]);
    super::members::until_helping(&helper);
}

#[test]
fn numbers_that_are_made_up_do_no_harm() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let Asked {
        owner,
        mut client,
        mut nats,
        id,
        search,
    } = asked(&broker);
    let numbers = [1, 2].map(|claim| claimed(&mut nats, &id, &search, claim));
    let find = format!("1 {ME} {search} {} 5 {SEED}", numbers[0]);
    nats.publish(&format!("powd.cluster.{id}.found"), find.as_bytes());
    client.reply(b"hello", 9);
    let received = || number(&cluster(&owner)["help_hashes_received"]);
    until("what the find has counted", || received() == 5);
    let most = u64::MAX;
    let mut before = received();
    for number in numbers {
        let report = format!("1 {ME} {search} {number} {most}");
        nats.publish(&format!("powd.cluster.{id}.report"), report.as_bytes());
        until("its report", || received() > before);
        before = received();
    }
    // No more than the numbers have, 62^7 seeds each.
    assert!(before <= 2 * 62u64.pow(7), "{before}");
    for member in ["00000000000000aa", "00000000000000bb"] {
        let beat = format!("1 {member} 60000 1 {most} stranger");
        nats.publish("powd.cluster.beat", beat.as_bytes());
    }
    nats.subscribe("news");
    let headers = [
        &*format!("Powd-Difficulty: {HOPELESS}"),
        "Powd-Progress: news",
    ];
    until("all rates together", || {
        let asked = nats.ask("powd.solve", &headers, b"hello");
        let news = nats.wait_for(|message| [&*asked, "news"].contains(&&*message.subject));
        news.text().ends_with(&format!(" {most}"))
    });
}

#[test]
fn nobody_is_answered_where_members_or_the_broker_speak() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [member] = members(&broker, &["-d", "1"]);
    let mut nats = broker.connect();
    let subjects = [
        "powd.cluster.announce",
        "powd.jobs.open.6f9619ff8b86d011b42d00cf4fc964ff",
        "powd.solve",
        "$JS.API.STREAM.DELETE.powd-jobs-open",
    ];
    nats.subscribe("powd.>");
    nats.subscribe("$JS.>");
    let asked = ["powd.solve", "powd.verify", "$SRV.PING"];
    for subject in subjects {
        for asked in asked {
            nats.publish_for(asked, subject, b"hello");
        }
    }
    let errors = || {
        let metrics = String::from_utf8(get(&member, "/metrics")).expect("text");
        let name = "powd_errors_total{door=\"nats\",code=\"malformed\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(name));
        count
            .expect("a counter")
            .parse::<usize>()
            .expect("a number")
    };
    until("all to be refused", || errors() == 2 * subjects.len());
    // Nor told how far it is, nor where nobody can listen.
    for subject in ["powd.cluster.announce", "", "two words", "news."] {
        let headers = [&*format!("Powd-Progress: {subject}")];
        let inbox = nats.ask("powd.solve", &headers, b"hello");
        // What this connection has asked itself comes back, and beats of the member; no answer
        // does.
        loop {
            let message = nats.next();
            if message.subject == inbox {
                message.expect_error("400", "malformed");
                break;
            }
            let is_own = message.reply.is_some();
            assert!(
                is_own || message.subject == "powd.cluster.beat",
                "{message:?}"
            );
        }
    }
}
