//! A cgroup named after a container id, like those that container managers make.

use std::{
    fs,
    path::PathBuf,
    process::id,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

/// A cgroup (version 2). Dropping it removes the cgroup, if its processes have ended.
#[derive(Debug)]
pub struct Container {
    id: String,
    processes: PathBuf,
}

impl Container {
    /// Returns the mount point of cgroup2, if it is mounted.
    pub fn root() -> Result<Option<PathBuf>> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        });
        Ok(root)
    }

    /// Makes a cgroup with a unique container id.
    pub fn make() -> Result<Self> {
        let root = Self::root()?.context("cgroup2 is not mounted")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        // The first twelve digits must be unique, too.
        let id = format!("{:08x}{:08x}{:048x}", now.subsec_nanos(), id(), now.as_secs());
        let path = root.join(format!("docker-{id}.scope"));
        fs::create_dir(&path)?;
        Ok(Self {
            id,
            processes: path.join("cgroup.procs"),
        })
    }

    /// Returns the container id, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the beginning of a command that executes the rest of the command in the cgroup.
    pub fn exec_prefix(&self) -> Result<[&str; 4]> {
        let processes = self.processes.to_str().context("the path of the cgroup is not UTF-8")?;
        Ok(["sh", "-c", "echo $$ >\"$0\" && exec \"$@\"", processes])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Failing to clean up does not fail the test.
        drop(self.processes.parent().map(fs::remove_dir));
    }
}
