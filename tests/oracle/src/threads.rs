//! What the threads of this process do, as Linux tells.

use std::fs;

/// How often a thread was put to sleep, and for how many ticks it ran: both stand still while it sleeps.
pub type Activity = (u64, u64);

/// What the thread of that name, of at most 15 bytes, has done so far; `None` where there is none, or the system does not
/// tell.
#[must_use]
pub fn activity(name: &str) -> Option<Activity> {
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten().map(|task| task.path());
    let is_named = |comm: String| comm.trim_end() == name;
    let task = tasks.into_iter().find(|task| fs::read_to_string(task.join("comm")).is_ok_and(is_named))?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let slept = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    // The name, in parentheses, may hold spaces; user and system time are the 12th and 13th field behind it.
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok());
    Some((slept.trim().parse().ok()?, ticks.sum::<Option<u64>>()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_spins_is_told_from_one_that_sleeps() -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel::<()>();
        let spins = thread::Builder::new()
            .name("spins".into())
            .spawn(move || while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {})?;
        let (wake, woken) = mpsc::channel::<()>();
        let sleeps = thread::Builder::new().name("sleeps".into()).spawn(move || woken.recv())?;
        let ran = || activity("spins").map(|(_, ticks)| ticks);
        while ran().is_none_or(|ticks| ticks < 3) {
            thread::sleep(Duration::from_millis(5));
        }
        let before = activity("sleeps");
        thread::sleep(Duration::from_millis(50));
        assert!(before.is_some() && activity("sleeps") == before);
        drop((stop, wake));
        assert!(spins.join().is_ok() && sleeps.join().is_ok());
        assert_eq!(activity("sleeps"), None);
        Ok(())
    }
}
