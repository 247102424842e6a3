//! What the benchmarks of the kernels share: a template to scan, and the check that a kernel finds
//! what the oracle finds. It measures nothing by itself.

use std::ops::Range;

use powd_core::unstable::{Template, digest};
use powd_core::{Difficulty, Kernel, Scan, Seed, SeedLength};

/// Heads that are searched for the first solution; at difficulty 3 one in 4096 is one.
const HEADS: u32 = 20_000;

/// The template of `message` behind seeds of five characters, the last of them an `a`.
pub(crate) fn template(message: &[u8]) -> Template {
    let mut template = Template::with_capacity(message.len());
    template.load(SeedLength::DEFAULT, message);
    template.fix_tail(b"a");
    template
}

/// The first head, of those of [`template`], whose seed is a solution: by the oracle.
pub(crate) fn first_solution(
    message: &[u8],
    mut heads: Range<u32>,
    difficulty: Difficulty,
) -> Option<u32> {
    heads.find(|&head| {
        let seed = Seed::from_index(SeedLength::DEFAULT, u128::from(head));
        difficulty.is_met_by(&digest(&seed, message))
    })
}

/// The kernel finds what the oracle finds.
pub(crate) fn check(kernel: Kernel, message: &[u8]) {
    let difficulty = Difficulty::new(3).expect("0 to 64");
    let expected = first_solution(message, 0..HEADS, difficulty);
    assert!(expected.is_some(), "a message that has a solution there");
    assert_eq!(
        kernel.scan(&template(message), 0..HEADS, difficulty),
        expected,
        "{kernel}"
    );
}
