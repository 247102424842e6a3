//! The CPUs that this process may use, and binding a thread to one of them.
//!
//! The only user of `core_affinity`. A CPU is known by its number. It must not know what the threads do.

/// The most threads that are started: more than any machine has CPUs, and few enough to count and to keep
/// track of. Whether the system gives so many is found out by starting them.
pub const MAX_THREADS: usize = 10_000;

/// Why a thread cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// The system does not say which CPUs there are.
    #[error("cannot find out which CPUs this process may use")]
    Unknown,
    /// No such CPU, or this process may not use it.
    #[error("cannot bind a thread to CPU {0}")]
    Pin(usize),
}

/// The threads that this process can keep busy: the CPUs of its affinity mask, or fewer when a cgroup gives
/// it less time than that.
pub fn available() -> usize {
    // std reads the affinity mask and, on Linux, the CPU quota of both cgroup versions.
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether a cgroup gives this process less time than its CPUs have. Every process with such a quota would
/// bind itself to the first few CPUs of the machine, and leave the others idle.
pub fn has_quota() -> bool {
    available() < usable().len()
}

/// The CPUs of the affinity mask; none where the system does not tell.
pub fn usable() -> Vec<usize> {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    cpus.into_iter().map(|cpu| cpu.id).collect()
}

/// The CPU of each of `threads` threads: the usable ones in turn, so that more threads than CPUs share them
/// evenly.
pub fn assign(threads: usize) -> Result<Vec<usize>, CpuError> {
    let cpus = usable();
    if cpus.is_empty() {
        return Err(CpuError::Unknown);
    }
    Ok(cpus.into_iter().cycle().take(threads).collect())
}

/// Binds the calling thread to a CPU.
pub fn pin(cpu: usize) -> Result<(), CpuError> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(CpuError::Pin(cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_cpus_share_them_evenly() {
        let cpus = usable();
        let assigned = assign(2 * cpus.len()).expect("the system tells");
        assert_eq!(assigned, [&cpus[..], &cpus[..]].concat());
    }

    // Elsewhere an affinity is a hint, or nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn threads_are_bound_to_cpus_that_there_are() {
        let cpu = usable()[0];
        let on_a_thread = |cpu| {
            std::thread::spawn(move || pin(cpu))
                .join()
                .expect("no panic")
        };
        assert_eq!(on_a_thread(cpu), Ok(()));
        assert_eq!(on_a_thread(1_000), Err(CpuError::Pin(1_000)));
    }
}
