//! Every kernel of this CPU against the oracle: any message, any seed length, any short range of
//! heads, any difficulty.

#![no_main]

use libfuzzer_sys::fuzz_target;
use powd_core::unstable::{ALPHABET, Template, digest};
use powd_core::{Difficulty, Digest, Kernel, Scan, Seed, SeedLength};

fuzz_target!(|input: (u8, u8, u32, u8, [u8; 12], &[u8])| {
    let (seed_length, nibbles, start, count, tail, message) = input;
    let seed_length = SeedLength::new(1 + seed_length % 16).expect("1 to 16");
    let head_length = seed_length.min(Template::MAX_HEAD_LENGTH);
    let tail: Vec<u8> = tail[..seed_length.bytes() - head_length.bytes()]
        .iter()
        .map(|&byte| ALPHABET[usize::from(byte) % ALPHABET.len()])
        .collect();
    let all = head_length.space() as u32;
    let start = start % all;
    let heads = start..start + u32::from(count);

    let digest_of = |head: u32| {
        let head = Seed::from_index(head_length, u128::from(head));
        let seed =
            Seed::from_bytes(&[head.as_bytes(), &tail].concat()).expect("1 to 16 characters");
        digest(&seed, message)
    };
    let digests: Vec<Digest> = (start..heads.end.min(all)).map(digest_of).collect();
    // A find at most difficulties is one in millions: so mostly it is the highest one at which
    // there is a find, which is the only one then, as a rule.
    let difficulty = Difficulty::new(nibbles).unwrap_or_else(|_| highest_met(&digests));
    let met = digests
        .iter()
        .position(|digest| difficulty.is_met_by(digest));
    let expected = met.map(|place| start + place as u32);

    let mut template = Template::with_capacity(0);
    template.load(seed_length, message);
    template.fix_tail(&tail);
    for kernel in Kernel::available() {
        assert_eq!(
            kernel.scan(&template, heads.clone(), difficulty),
            expected,
            "{kernel}"
        );
    }
});

/// The highest difficulty that one of them meets.
fn highest_met(digests: &[Digest]) -> Difficulty {
    let all = (0..=64).filter_map(|nibbles| Difficulty::new(nibbles).ok());
    let is_met = |difficulty: &Difficulty| digests.iter().any(|d| difficulty.is_met_by(d));
    all.take_while(is_met).last().unwrap_or(Difficulty::NONE)
}
