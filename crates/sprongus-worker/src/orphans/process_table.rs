//! What `/proc` knows of processes. Where there is no `/proc`, nobody is known.

use std::fs;
use std::path::PathBuf;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// The boot and the namespace in which process numbers have their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) boot: String,
    namespace: String,
}

impl Machine {
    pub(super) fn current() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        Some(Self { boot, namespace })
    }
}

/// A living process.
#[derive(Debug)]
pub(super) struct Member {
    id: String,
}

impl Member {
    pub(super) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.id.parse().ok()?)
    }

    /// Whether the process was started with this variable; of another user's process nothing is known.
    pub(super) fn has_variable(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        self.environment().split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    }

    /// What the process was started with, a zero byte behind each variable; nothing of another user's process. A process that is
    /// becoming another program (execve) has none until the kernel has laid out the new one's.
    pub(super) fn environment(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/environ", self.id)).unwrap_or_default()
    }

    /// Where it works; nothing of another user's process.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/cwd", self.id)).ok()
    }

    /// Its program's name, for people.
    pub(super) fn name(&self) -> String {
        let name = fs::read(format!("/proc/{}/comm", self.id)).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().to_owned()
    }

    /// Whether it is a program of ours to look into: not the kernel's, not another user's.
    pub(super) fn has_program(&self) -> bool {
        match fs::read_link(format!("/proc/{}/exe", self.id)) {
            Ok(_) => true,
            // A worker cannot be looked into, and neither can its child before that has become another program.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => self.is_ours(),
            Err(_) => false,
        }
    }

    fn is_ours(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let user = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
        user == Some(rustix::process::geteuid().as_raw())
    }
}

/// When a living process started, in ticks since the boot. With its number that is one process and no other.
pub(super) fn start_time(process: Pid) -> Option<u64> {
    let stat = Stat::read(&process.as_raw_pid().to_string())?;
    stat.is_alive().then_some(stat.started)
}

/// Whether a process of this user is there that `/proc` does not show: with `hidepid` it hides those that cannot be looked into, and
/// a worker is one of them.
pub(super) fn is_hidden(process: Pid) -> bool {
    let is_shown = fs::exists(format!("/proc/{}/stat", process.as_raw_pid())).unwrap_or(false);
    !is_shown && rustix::process::test_kill_process(process).is_ok()
}

/// The living members of a group.
pub(super) fn members(group: Pid) -> Vec<Member> {
    those(|stat| stat.group == group.as_raw_pid())
}

/// Every living process.
pub(super) fn living() -> Vec<Member> {
    those(|_| true)
}

fn those(wanted: impl Fn(&Stat) -> bool) -> Vec<Member> {
    let is_wanted = |id: &String| Stat::read(id).is_some_and(|stat| stat.is_alive() && wanted(&stat));
    ids().into_iter().filter(is_wanted).map(|id| Member { id }).collect()
}

fn ids() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

/// The living processes below this one: its children, theirs, and so on.
pub(super) fn descendants() -> Vec<Member> {
    let all: Vec<(String, Stat)> =
        ids().into_iter().filter_map(|id| Stat::read(&id).map(|stat| (id, stat))).collect();
    let mut parents = vec![rustix::process::getpid().as_raw_pid()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for (id, _) in all.iter().filter(|(_, stat)| stat.parent == parent && stat.is_alive()) {
            parents.extend(id.parse::<i32>());
            found.push(Member { id: id.clone() });
        }
    }
    found
}

/// This process's children that have ended and were not waited for.
pub(super) fn dead_children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_pid();
    let is_dead = |id: &String| Stat::read(id).is_some_and(|stat| stat.parent == own && stat.state == 'Z');
    ids().into_iter().filter(is_dead).filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// Whether a group has a member that still does something. Without `/proc` it is taken to have one.
pub(crate) fn has_living_members(group: Pid) -> bool {
    !fs::exists("/proc/self/stat").unwrap_or(false) || !members(group).is_empty()
}

/// The fields of `/proc/<id>/stat` that matter here.
struct Stat {
    state: char,
    parent: i32,
    group: i32,
    started: u64,
}

impl Stat {
    fn read(id: &str) -> Option<Self> {
        // The name may hold anything, spaces and line ends included, and need not be UTF-8.
        let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&stat))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name is in parentheses and may contain some itself: the last one ends it.
        let (_, behind_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// A zombie holds its number, but does nothing any more.
    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_with_a_name_made_to_mislead() {
        let line = "42 (a) R 1 (b c) S 7 40 41 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.started), ('S', 7, 40, 123_456));
        assert!(Stat::parse("").is_none() && Stat::parse("1 (x) S").is_none());
    }

    #[test]
    fn knows_this_process() {
        assert!(start_time(rustix::process::getpid()).is_some());
        assert!(Machine::current().is_some());
    }
}
