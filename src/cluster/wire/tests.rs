use proptest::prelude::*;

use super::*;

const PAGE: &str = include_str!("../../../CLUSTER.md");

fn search() -> impl Strategy<Value = Search> {
    (any::<u64>(), any::<u32>()).prop_map(|(job, epoch)| Search {
        job: JobId(job),
        epoch,
    })
}

fn number() -> impl Strategy<Value = Number> {
    (0..Number::COUNT).prop_map(Number)
}

/// Any message, told to `check`: its text and bytes are lent.
fn for_any(check: impl Fn(Message<'_>)) {
    let parts = (
        (any::<u64>(), search(), number(), any::<[u64; 3]>()),
        (0u8..=64, 11u8..=16, 0u32..=65_536, "[!-~]{1,64}"),
        (
            "[a-zA-Z0-9]{1,16}",
            prop::collection::vec(any::<u8>(), 0..300),
        ),
    );
    proptest!(|(
        ((from, search, number, numbers), (nibbles, length, bytes, label), (seed, message)) in parts,
    )| {
        let [hashes, low, high] = numbers;
        let (claim, workers) = (low as u32, high as u32);
        for body in [
            Body::Beat { period_ms: claim, workers, hash_rate: hashes, label: &label },
            Body::Announce {
                search,
                difficulty: Difficulty::new(nibbles).expect("0 to 64"),
                length: SeedLength::new(length).expect("11 to 16"),
                bytes,
            },
            Body::Claim { search, claim },
            Body::Number { search, claim, number, message: &message },
            Body::Report { search, number, hashes },
            Body::Found { search, number, hashes, seed: seed.parse().expect("a seed") },
            Body::Over { search },
        ] {
            check(Message { from: MemberId(from), body });
        }
    });
}

#[test]
fn what_is_written_is_what_is_read() {
    for_any(|message| {
        let payload = message.encode();
        assert!(payload.len() <= PAYLOAD_MAX);
        assert_eq!(Message::decode(message.kind(), &payload), Ok(message));
    });
}

/// One form for each message: whoever compares bytes compares messages.
#[test]
fn what_is_read_is_written_in_the_same_bytes() {
    for_any(|message| {
        let payload = message.encode();
        for at in 0..payload.len().min(80) {
            for byte in [b' ', b'0', b'+', b'\n', b'a', b'A', 0, 255] {
                let mut changed = payload.clone();
                changed[at] = byte;
                if let Ok(read) = Message::decode(message.kind(), &changed) {
                    assert_eq!(read.encode(), changed);
                }
            }
        }
    });
}

proptest! {
    #[test]
    fn nothing_from_the_network_panics(payload in prop::collection::vec(any::<u8>(), 0..400)) {
        for kind in Kind::ALL {
            let _ = Message::decode(kind, &payload);
        }
    }

    #[test]
    fn another_version_is_named_whatever_it_says(version in 2u32..1000, rest in "[ -~\n]{0,300}") {
        let payload = format!("{version} {rest}");
        for kind in Kind::ALL {
            let read = Message::decode(kind, payload.as_bytes());
            prop_assert_eq!(read, Err(Unread::Version));
        }
    }

    /// No two numbers have a seed in common, and together they have all.
    #[test]
    fn numbers_divide_the_seeds_of_a_length(number in 0..Number::COUNT, length in 11u8..=16) {
        let length = SeedLength::new(length).expect("1 to 16");
        let steps = Number(number).steps(length);
        prop_assert_eq!(steps.end - steps.start, Number::seeds(length));
        let next = Number(number).behind(1).steps(length);
        let is_last = number == Number::COUNT - 1;
        prop_assert_eq!(next.start, if is_last { 0 } else { steps.end });
        prop_assert!(!is_last || steps.end == length.space());
        // They are those that end with its four characters.
        let ring = powd_core::unstable::Ring::new(length, 0);
        let ends = [steps.start, steps.start + Number::seeds(length) / 3, steps.end - 1]
            .map(|step| ring.seed(step).as_str()[length.bytes() - 4..].to_owned());
        prop_assert_eq!(&ends[0], &ends[1]);
        prop_assert_eq!(&ends[0], &ends[2]);
    }
}

#[test]
fn helpers_try_longer_seeds_than_owners() {
    let helpers = |owners| helpers_length(SeedLength::new(owners).expect("1 to 16"));
    let lengths: Vec<_> = (1..=16)
        .map(|owners| helpers(owners).map_or(0, SeedLength::get))
        .collect();
    assert_eq!(
        lengths,
        [
            11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 12, 13, 14, 15, 16, 0
        ]
    );
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let id = "0123456789abcdef";
    for (kind, line, why) in [
        (
            Kind::Announce,
            format!("1 {id} {id} 1 65 11 20"),
            Unread::Bounds,
        ),
        (
            Kind::Announce,
            format!("1 {id} {id} 1 8 10 20"),
            Unread::Bounds,
        ),
        (
            Kind::Announce,
            format!("1 {id} {id} 1 8 11 65537"),
            Unread::Bounds,
        ),
        (
            Kind::Report,
            format!("1 {id} {id} 1 14776336 5"),
            Unread::Bounds,
        ),
        (
            Kind::Found,
            format!("1 {id} {id} 1 5 5 ab-cd"),
            Unread::Bounds,
        ),
        (
            Kind::Claim,
            format!("1 {id} {id} 4294967296 5"),
            Unread::Bounds,
        ),
        (Kind::Over, format!("1 {id} {id}  1"), Unread::Malformed),
        (Kind::Over, format!("1 {id} {id} 01"), Unread::Malformed),
        (Kind::Over, format!("1 {id} {id} 1 "), Unread::Malformed),
        (Kind::Over, format!("1 {id} {id}"), Unread::Malformed),
        (
            Kind::Number,
            format!("1 {id} {id} 1 5 5"),
            Unread::Malformed,
        ),
        (Kind::Over, String::new(), Unread::Malformed),
    ] {
        let read = Message::decode(kind, line.as_bytes());
        assert_eq!(read, Err(why), "{line}");
    }
}

/// The blocks of CLUSTER.md that are marked `message`: a subject, then the payload.
#[test]
fn the_page_shows_what_is_sent() {
    let blocks = PAGE.split("```message\n").skip(1);
    let mut shown = Vec::new();
    for block in blocks {
        let block = block.split("\n```").next().expect("an end");
        let (subject, payload) = block.split_once('\n').expect("a subject and a payload");
        let kind = Kind::of_subject(subject).expect("one of ours");
        let message = Message::decode(kind, payload.as_bytes());
        let message = message.unwrap_or_else(|error| panic!("{subject}: {error}"));
        let tokens: Vec<&str> = subject.split('.').collect();
        let to = match tokens[..] {
            [_, _, _] => To::All,
            [_, _, member, _] => To::One(MemberId(u64::from_str_radix(member, 16).expect("an id"))),
            _ => panic!("{subject}"),
        };
        assert_eq!(super::subject("powd", to, kind), subject);
        assert_eq!(message.encode(), payload.as_bytes(), "{subject}");
        shown.push(kind);
    }
    for kind in Kind::ALL {
        assert!(shown.contains(&kind), "{kind:?} is shown");
    }
}
