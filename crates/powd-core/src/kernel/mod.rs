//! Kernels: scanning a range of seeds for a digest below a bound, with an instruction set that is
//! chosen at run time.
//!
//! A kernel looks for speed alone. What it reports is a candidate; whoever asked checks it again
//! with [`pow`](crate::pow), which no fast kernel shares code with. It must not know what a request
//! or a connection is, nor in which order the ranges come.

/// Stamps the function of a kernel: the features, the witnesses, and the generic function that it
/// instantiates.
#[cfg(fast_kernels)]
macro_rules! entry_points {
    ($($features:literal fn $name:ident($($witness:ident: $type:ty),*) = $next_at_most:path;)*) => {
        $(
            #[target_feature(enable = $features)]
            fn $name(
                $($witness: $type,)*
                template: &Template,
                heads: &mut Heads<'_>,
                bound: u32,
            ) -> Option<u32> {
                $next_at_most($($witness,)* template, heads, bound)
            }
        )*
    };
}

#[cfg(all(fast_kernels, target_arch = "aarch64"))]
mod arm;
#[cfg(all(fast_kernels, target_arch = "aarch64"))]
mod arm_sha;
mod comparison;
mod heads;
#[cfg(fast_kernels)]
mod lanes;
mod measure;
mod portable;
#[cfg(all(test, feature = "unstable"))]
mod scripted;
#[cfg(all(fast_kernels, target_arch = "x86_64"))]
mod split;
#[cfg(all(fast_kernels, target_arch = "x86_64"))]
mod x86;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

pub use comparison::Comparison;
pub use heads::{Heads, whole_batches};
#[cfg(feature = "unstable")]
pub use measure::measure;
#[cfg(all(test, feature = "unstable"))]
pub(crate) use scripted::Scripted;

use crate::pow::Difficulty;
use crate::sha256::Template;

/// What a [`Searcher`](crate::Searcher) scans with: a [`Kernel`].
///
/// Sealed: [`Kernel`] alone implements it, but for tests that take the feature `unstable` and put
/// something else in its place. Code that is generic over it works with both:
///
/// ```
/// use powd_core::{Job, Progress, Scan, Search, Searcher, Tally};
///
/// fn next<S: Scan>(search: &mut Search, searcher: &mut Searcher<S>, job: Job<'_>) -> Progress {
///     search.advance(searcher, job, std::num::NonZeroU64::MIN, &mut Tally::default())
/// }
/// ```
// What its methods take has no name outside without `unstable`: that seals it.
pub trait Scan {
    /// Tries heads from the front until the digest of one meets `difficulty`, or so the kernel
    /// says: `Some(head)`, and what follows it is left. `None`: nothing is left, unless a stop ended
    /// the scan early.
    ///
    /// Heads (the first up to four characters) are numbered like [`Seed`](crate::pow::Seed)s, the
    /// first character being the lowest digit; indices at or above 62^min(L, 4) for seeds of length
    /// L are left out.
    #[doc(hidden)]
    fn next_hit(
        &self,
        template: &Template,
        heads: &mut Heads<'_>,
        difficulty: Difficulty,
    ) -> Option<u32>;

    /// The lowest head of a whole range whose digest meets `difficulty`.
    #[doc(hidden)]
    fn scan(&self, template: &Template, heads: Range<u32>, difficulty: Difficulty) -> Option<u32> {
        self.next_hit(template, &mut heads.into(), difficulty)
    }
}

/// A way to scan that this CPU has: holding one is the proof.
///
/// ```
/// use powd_core::Kernel;
///
/// for kernel in Kernel::available() {
///     println!("{kernel}");
/// }
/// assert_eq!(Kernel::named("portable"), Ok(Kernel::PORTABLE));
/// assert_eq!("portable".parse(), Ok(Kernel::PORTABLE));
/// let error = Kernel::named("abacus").unwrap_err();
/// assert!(error.to_string().starts_with("there is no kernel \"abacus\""));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    name: &'static str,
    backend: Backend,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    #[cfg(all(fast_kernels, target_arch = "x86_64"))]
    X86(x86::X86),
    #[cfg(all(fast_kernels, target_arch = "aarch64"))]
    Arm(arm::Arm),
    Portable,
}

/// Why there is no kernel of some name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// No such kernel in this build.
    #[error("there is no kernel {name:?}, only {}", exists.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of all kernels of this build.
        exists: Vec<&'static str>,
    },
    /// It needs instructions that this CPU does not have.
    #[error(
        "this CPU cannot run kernel {name}: it lacks {}; it has {}",
        lacks.join(", "),
        available.join(", ")
    )]
    Unavailable {
        /// What was asked for.
        name: &'static str,
        /// The CPU features that are missing, as rustc calls them.
        lacks: Lacking,
        /// The names of the kernels that it does have.
        available: Vec<&'static str>,
    },
}

/// CPU features that are missing, as rustc calls them.
type Lacking = Vec<&'static str>;

/// A kernel of this build, whether or not this CPU has it.
struct Entry {
    name: &'static str,
    detect: fn() -> Result<Backend, Lacking>,
}

impl Entry {
    /// The kernel, or what this CPU lacks for it.
    fn kernel(&self) -> Result<Kernel, Lacking> {
        let name = self.name;
        (self.detect)().map(|backend| Kernel { name, backend })
    }
}

/// All kernels of this build, in the order in which they are usually fast.
fn kernels() -> impl Iterator<Item = &'static Entry> {
    #[cfg(all(fast_kernels, target_arch = "x86_64"))]
    const NATIVE: &[Entry] = &x86::KERNELS;
    #[cfg(all(fast_kernels, target_arch = "aarch64"))]
    const NATIVE: &[Entry] = &arm::KERNELS;
    #[cfg(not(fast_kernels))]
    const NATIVE: &[Entry] = &[];
    const PORTABLE: &Entry = &Entry {
        name: Kernel::PORTABLE.name,
        detect: || Ok(Kernel::PORTABLE.backend),
    };
    NATIVE.iter().chain([PORTABLE])
}

impl Kernel {
    /// The kernel of every CPU.
    pub const PORTABLE: Kernel = Kernel {
        name: "portable",
        backend: Backend::Portable,
    };

    /// Every kernel that this CPU has, in the order in which they are usually fast.
    pub fn available() -> impl Iterator<Item = Kernel> {
        kernels().filter_map(|entry| entry.kernel().ok())
    }

    /// The kernel called `name`.
    ///
    /// # Errors
    ///
    /// When there is no such kernel, or this CPU cannot run it.
    pub fn named(name: &str) -> Result<Kernel, KernelError> {
        let Some(entry) = kernels().find(|entry| entry.name == name) else {
            let exists = kernels().map(|entry| entry.name).collect();
            return Err(KernelError::Unknown {
                name: name.to_owned(),
                exists,
            });
        };
        entry.kernel().map_err(|lacks| KernelError::Unavailable {
            name: entry.name,
            lacks,
            available: Kernel::available().map(|kernel| kernel.name).collect(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The next head whose first state word is at most `bound`.
    fn next_at_most(&self, template: &Template, heads: &mut Heads<'_>, bound: u32) -> Option<u32> {
        match self.backend {
            #[cfg(all(fast_kernels, target_arch = "x86_64"))]
            Backend::X86(kernel) => kernel.next_at_most(template, heads, bound),
            #[cfg(all(fast_kernels, target_arch = "aarch64"))]
            Backend::Arm(kernel) => kernel.next_at_most(template, heads, bound),
            Backend::Portable => portable::next_at_most(template, heads, bound),
        }
    }
}

impl Scan for Kernel {
    fn next_hit(
        &self,
        template: &Template,
        heads: &mut Heads<'_>,
        difficulty: Difficulty,
    ) -> Option<u32> {
        next_hit_by(template, heads, difficulty, |heads, bound| {
            self.next_at_most(template, heads, bound)
        })
    }
}

/// The next hit, by means of a kernel that looks at the first state word alone. Above 8 nibbles,
/// where that word has to be zero and others decide, one in 2^32 hashes comes to a second look
/// here. A kernel that was wrong about the first word is not covered up: who asked counts that.
fn next_hit_by(
    template: &Template,
    heads: &mut Heads<'_>,
    difficulty: Difficulty,
    mut next_at_most: impl FnMut(&mut Heads<'_>, u32) -> Option<u32>,
) -> Option<u32> {
    const FIRST_WORD: Difficulty = Difficulty::of::<8>();
    loop {
        let found = next_at_most(heads, difficulty.first_word_bound())?;
        heads.go_on_behind(found);
        let fails_in_later_words = || {
            portable::digest(template, found).is_some_and(|digest| {
                FIRST_WORD.is_met_by(&digest) && !difficulty.is_met_by(&digest)
            })
        };
        if difficulty <= FIRST_WORD || !fails_in_later_words() {
            return Some(found);
        }
    }
}

/// As by [`Kernel::named`].
impl FromStr for Kernel {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Kernel, KernelError> {
        Kernel::named(name)
    }
}

/// The name says all: no two kernels share one.
impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({self})")
    }
}

#[cfg(test)]
mod tests;
