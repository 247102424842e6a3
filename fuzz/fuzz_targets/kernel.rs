//! Every kernel of this CPU against the oracle: any message, any seed length, any short range of
//! heads, any difficulty at which it is feasible to know the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use powd_core::unstable::{ALPHABET, Scan, Template, digest};
use powd_core::{Difficulty, Kernel, Seed, SeedLength};

fuzz_target!(|input: (u8, u8, u32, u8, [u8; 12], &[u8])| {
    let (seed_length, nibbles, start, count, tail, message) = input;
    let seed_length = SeedLength::new(1 + seed_length % 16).expect("1 to 16");
    let head_length = seed_length.min(Template::MAX_HEAD_LENGTH);
    let difficulty = Difficulty::new(nibbles % 4).expect("0 to 64");
    let tail: Vec<u8> = tail[..seed_length.get() - head_length.get()]
        .iter()
        .map(|&byte| ALPHABET[usize::from(byte) % ALPHABET.len()])
        .collect();
    let all = head_length.space() as u32;
    let start = start % all;
    let heads = start..start + u32::from(count);

    let expected = (start..heads.end.min(all)).find(|&head| {
        let head = Seed::from_index(head_length, u128::from(head));
        let seed =
            Seed::from_bytes(&[head.as_bytes(), &tail].concat()).expect("1 to 16 characters");
        difficulty.is_met_by(&digest(&seed, message))
    });
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
