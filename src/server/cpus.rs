//! The CPUs that this process may use, and binding a thread to one of them.

use core_affinity::CoreId;

use super::ServerError;

/// The workers that this process can keep busy: the CPUs of its affinity mask, or fewer when a cgroup
/// gives it less time than that.
pub fn available() -> usize {
    // std reads the affinity mask and, on Linux, the CPU quota of both cgroup versions.
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether a cgroup gives this process less time than its CPUs have. Every process with such a quota would
/// bind itself to the first few CPUs of the machine, and leave the others idle.
pub fn has_quota() -> bool {
    core_affinity::get_core_ids().is_some_and(|cpus| available() < cpus.len())
}

/// The CPU of each of `workers` threads: the CPUs of the affinity mask in turn, so that more workers than
/// CPUs share them evenly.
pub fn assign(workers: usize) -> Result<Vec<CoreId>, ServerError> {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    if cpus.is_empty() {
        return Err(ServerError::Cpus);
    }
    Ok(cpus.into_iter().cycle().take(workers).collect())
}

/// Binds the calling thread to `cpu`.
pub fn pin(cpu: CoreId) -> Result<(), ServerError> {
    if core_affinity::set_for_current(cpu) {
        Ok(())
    } else {
        Err(ServerError::Pin { cpu: cpu.id })
    }
}
