//! How much CPU time a Linux cgroup, of version 1 or 2, gives this process.
//!
//! Its own group has a quota, and so may have each group above it: the least counts. (`std` knows
//! them all, but rounds down to whole CPUs. `num_cpus` rounds up, but does not look above the own
//! group, where systemd's slices and Kubernetes' pods have theirs.) What cannot be read is no
//! quota. See cgroups(7), and proc_pid_mountinfo(5).

use std::path::{Component, Path};

/// The CPUs that the least quota is worth, such as 1.5; none without a quota.
pub(super) fn cpus() -> Option<f64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    least(&groups, &mounts, &read)
}

/// The two versions, which keep quotas in different files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

fn least(groups: &str, mounts: &str, read: Read<'_>) -> Option<f64> {
    let mut quotas = Vec::new();
    for (version, root, mount) in mounts.lines().filter_map(mount) {
        for (_, path) in groups.lines().filter_map(group).filter(|g| g.0 == version) {
            // The mount shows the tree from `root` on. What is not below it, as seen from inside of
            // a container, is the mount itself.
            let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            let is_plain = |part| matches!(part, Component::Normal(_));
            let below = if below.components().all(is_plain) {
                below
            } else {
                Path::new("")
            };
            let own = mount.join(below);
            let up_to_the_mount = own.ancestors().take_while(|group| group.starts_with(mount));
            quotas.extend(up_to_the_mount.filter_map(|group| quota(version, group, read)));
        }
    }
    quotas.into_iter().min_by(f64::total_cmp)
}

/// A line of `/proc/self/cgroup`, `4:cpu,cpuacct:/a/b` or `0::/a/b`, if its group can have a quota.
fn group(line: &str) -> Option<(Version, &str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    if controllers.is_empty() {
        Some((Version::Two, path))
    } else {
        has_cpu(controllers).then_some((Version::One, path))
    }
}

/// A line of `/proc/self/mountinfo`, if quotas are below it: what part of the tree is shown, and
/// where.
fn mount(line: &str) -> Option<(Version, &str, &Path)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, Path::new(mount.next()?));
    let mut system = system.split(' ');
    match (system.next()?, system.nth(1)?) {
        ("cgroup2", _) => Some((Version::Two, root, point)),
        ("cgroup", options) if has_cpu(options) => Some((Version::One, root, point)),
        _ => None,
    }
}

fn has_cpu(list: &str) -> bool {
    list.split(',').any(|one| one == "cpu")
}

/// The quota of one group. Where there is none, its files say `max` or -1.
fn quota(version: Version, group: &Path, read: Read<'_>) -> Option<f64> {
    let file = |name| read(&group.join(name));
    let (time, period) = match version {
        Version::Two => {
            let max = file("cpu.max")?;
            let (time, period) = max.trim().split_once(' ')?;
            (time.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
        }
        Version::One => {
            let number = |name| file(name)?.trim().parse::<f64>().ok();
            (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
        }
    };
    (time > 0.0 && period > 0.0).then(|| time / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "30 25 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct";
    const V2: &str = "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";

    fn with_files(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Option<f64> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        least(groups, mounts, &read)
    }

    #[test]
    fn the_least_of_all_groups_above_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/cpu.max", "400000 100000\n"),
            ("/sys/fs/cgroup/other/cpu.max", "1000 100000\n"),
        ];
        assert_eq!(with_files("0::/a/b\n", V2, &files), Some(1.5));
        assert_eq!(with_files("0::/\n", V2, &files), Some(4.0));
        assert_eq!(with_files("0::/a/b\n", "", &files), None);
    }

    #[test]
    fn version_1_has_two_files() {
        let files = [
            ("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "25000\n"),
            ("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ];
        let groups = "5:memory:/m\n4:cpuacct,cpu:/a\n0::/\n";
        assert_eq!(with_files(groups, V1, &files), Some(0.5));
        assert_eq!(with_files("4:cpuacct,cpu:/\n", V1, &files), None);
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount() {
        let bound = "30 25 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw";
        let files = [("/sys/fs/cgroup/cpu.max", "250000 100000")];
        for groups in ["0::/docker/abc", "0::/", "0::/../outside"] {
            assert_eq!(with_files(groups, bound, &files), Some(2.5), "{groups}");
        }
        assert_eq!(with_files("0::/../outside", V2, &files), Some(2.5));
    }
}
