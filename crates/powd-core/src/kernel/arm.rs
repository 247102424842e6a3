//! The kernels of aarch64: what each one needs of the CPU, and the functions in which its
//! instructions may be used. All that a scan does is inlined into one of these, so it is dispatched
//! once.
#![allow(
    unsafe_code,
    reason = "functions of an instruction set, called with its witness in hand"
)]

use super::{Backend, Entry, Heads, arm_sha, lanes};
use crate::sha256::Template;
use crate::simd::{ArmSha, Neon, Twice};

/// A kernel with the witness that it may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Sha(ArmSha),
    NeonSha(ArmSha),
    Neon(Twice<Neon>),
}

/// Every kernel. The first two by what is known: `arm-sha` is good on all models of processors,
/// `neon-sha` a tenth better on some.
pub(super) const KERNELS: [Entry; 3] = [
    Entry {
        name: "arm-sha",
        detect: || Ok(Backend::Arm(Arm::Sha(ArmSha::detect()?))),
    },
    Entry {
        name: "neon-sha",
        detect: || Ok(Backend::Arm(Arm::NeonSha(ArmSha::detect()?))),
    },
    Entry {
        name: "neon",
        detect: || Ok(Backend::Arm(Arm::Neon(Twice(Neon::detect()?)))),
    },
];

impl Arm {
    /// The next head whose first state word is at most `bound`.
    pub(super) fn next_at_most(
        self,
        template: &Template,
        heads: &mut Heads<'_>,
        bound: u32,
    ) -> Option<u32> {
        match self {
            // SAFETY: the witness proves NEON and SHA2.
            Arm::Sha(sha) => unsafe { arm_sha(sha, template, heads, bound) },
            // SAFETY: the witness proves NEON and SHA2.
            Arm::NeonSha(sha) => unsafe { neon_sha(sha, template, heads, bound) },
            // SAFETY: the witness proves NEON.
            Arm::Neon(simd) => unsafe { neon(simd, template, heads, bound) },
        }
    }
}

entry_points! {
    "neon,sha2" fn arm_sha(sha: ArmSha) = arm_sha::next_at_most::<false>;
    "neon,sha2" fn neon_sha(sha: ArmSha) = arm_sha::next_at_most::<true>;
    // Two vectors side by side: by the models nowhere slower than one, and a quarter faster on
    // Neoverse V1 and V2, where one waits for itself.
    "neon" fn neon(simd: Twice<Neon>) = lanes::next_at_most;
}
