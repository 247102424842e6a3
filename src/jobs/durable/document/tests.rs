use proptest::prelude::*;

use super::*;

const PAGE: &str = include_str!("../../../../CLUSTER.md");

/// The most bytes of a document.
const DOCUMENT_MAX: usize = LINE_MAX + MessageBytes::MAX.get();

fn query() -> impl Strategy<Value = Query> {
    let message = prop::collection::vec(any::<u8>(), 0..300);
    (message, 0u8..=64, 0u8..=16, any::<u64>()).prop_map(
        |(message, nibbles, length, milliseconds)| Query {
            message,
            difficulty: Difficulty::new(nibbles).expect("0 to 64"),
            seed_length: SeedLength::new(length).ok(),
            deadline: (milliseconds > 0).then(|| Duration::from_millis(milliseconds)),
        },
    )
}

/// A job that has ended; where it was found, with the difficulty that any seed meets.
fn ended() -> impl Strategy<Value = Ended> {
    let numbers = (any::<u64>(), any::<u64>(), any::<usize>());
    (query(), "[a-zA-Z0-9]{1,16}", 0..6, numbers).prop_map(
        |(mut query, seed, which, (hashes, micros, max))| {
            let end = match which {
                0 => End::Cancelled,
                1 => End::Failed(SolveError::Deadline),
                2 => End::Failed(SolveError::Exhausted),
                3 => End::Failed(SolveError::Failed),
                4 => End::Failed(SolveError::TooLong { max }),
                _ => {
                    query.difficulty = Difficulty::of::<0>();
                    let seed = seed.parse().expect("a seed");
                    let solution = verify(seed, &query.message, query.difficulty);
                    End::Found(solution.expect("no zeros are asked for"))
                }
            };
            Ended {
                asked: Asked::new(query).expect("entropy"),
                end,
                hashes,
                time: Duration::from_micros(micros),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(ended in ended()) {
        let document = ended.asked.encode();
        prop_assert!(document.len() <= DOCUMENT_MAX);
        prop_assert_eq!(Asked::decode(&document), Some(ended.asked.clone()));
        prop_assert_eq!(Ended::decode(&document), None);
        let document = ended.encode();
        prop_assert!(document.len() <= DOCUMENT_MAX);
        prop_assert_eq!(Asked::decode(&document), None);
        prop_assert_eq!(Ended::decode(&document), Some(ended));
    }

    /// One form for each document.
    #[test]
    fn what_is_read_is_written_in_the_same_bytes(ended in ended()) {
        let document = ended.encode();
        for at in 0..document.len().min(100) {
            for byte in [b' ', b'0', b'+', b'\n', b'a', b'A', 0, 255] {
                let mut changed = document.clone();
                changed[at] = byte;
                if let Some(read) = Ended::decode(&changed) {
                    prop_assert_eq!(read.encode(), changed);
                }
            }
        }
    }

    #[test]
    fn nothing_from_the_network_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Asked::decode(&bytes), Ended::decode(&bytes), decode_effort(&bytes));
    }
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let secret = "7ea09501bb7895b39ad870baf56eedb6";
    let right = format!("1 {secret} 8 0 0\nhello");
    assert!(Asked::decode(right.as_bytes()).is_some());
    for wrong in [
        String::new(),
        format!("2 {secret} 8 0 0\nhello"),
        format!("1 {secret} 65 0 0\nhello"),
        format!("1 {secret} 8 17 0\nhello"),
        format!("1 {secret} 08 0 0\nhello"),
        format!("1 {secret} 8 0 0 \nhello"),
        format!("1 {secret} 8 0 0"),
        "1 nonsense 8 0 0\nhello".to_owned(),
        format!("1 {secret} 8 0 0\n{}", "x".repeat(65_537)),
        format!("{}\nhello", " ".repeat(300)),
    ] {
        assert_eq!(Asked::decode(wrong.as_bytes()), None, "{wrong:.80}");
    }
    // A seed that is none for this message.
    let wrong = format!("1 {secret} 8 0 0 5 5 found abcde\nhello");
    assert_eq!(Ended::decode(wrong.as_bytes()), None);
}

#[test]
fn a_name_and_a_secret_make_an_id() {
    let (name, secret) = ("0".repeat(32), "f".repeat(32));
    let id: Id = format!("{name}{secret}").parse().expect("an id");
    assert_eq!((id.name.to_string(), id.secret), (name, secret));
    for wrong in [
        "",
        "nonsense",
        &"0".repeat(32),
        &"0".repeat(65),
        &"F".repeat(64),
        &"ä".repeat(32),
    ] {
        assert!(wrong.parse::<Id>().is_err(), "{wrong}");
    }
    let key = [0xab; 32];
    assert_eq!(Name::of_key(&key).to_string(), "ab".repeat(16));
}

#[test]
fn a_deadline_is_written_in_whole_milliseconds() {
    let asked = |deadline| {
        let query = Query {
            message: Vec::new(),
            difficulty: Difficulty::of::<3>(),
            seed_length: None,
            deadline: Some(deadline),
        };
        Asked::new(query).expect("entropy")
    };
    let short = asked(Duration::from_nanos(1));
    assert_eq!(short.query.deadline, Some(Duration::from_millis(1)));
    assert_eq!(Asked::decode(&short.encode()), Some(short));
    let long = asked(Duration::MAX);
    assert_eq!(Asked::decode(&long.encode()), Some(long));
}

/// The blocks of CLUSTER.md that are marked `job`: a subject, then the payload.
#[test]
fn the_page_shows_what_is_kept() {
    let blocks = PAGE.split("```job\n").skip(1);
    let mut shown = Vec::new();
    for block in blocks {
        let block = block.split("\n```").next().expect("an end");
        let (subject, payload) = block.split_once('\n').expect("a subject and a payload");
        let tokens: Vec<&str> = subject.split('.').collect();
        let ["powd", "jobs", which, name] = tokens[..] else {
            panic!("{subject}");
        };
        assert!(name.parse::<Name>().is_ok(), "{subject}");
        let payload = payload.as_bytes();
        let written = match which {
            "open" => Asked::decode(payload).expect("it is read").encode(),
            "ended" => Ended::decode(payload).expect("it is read").encode(),
            "effort" => encode_effort(decode_effort(payload).expect("it is read")).into(),
            _ => panic!("{subject}"),
        };
        assert_eq!(written, payload, "{subject}");
        shown.push(which);
    }
    for which in ["open", "ended", "effort"] {
        assert!(shown.contains(&which), "{which} is shown");
    }
}
