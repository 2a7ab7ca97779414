//! A control group whose name bears a container's id, as container managers make them.

use std::{
    fs,
    path::PathBuf,
    process::id,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};

/// A control group of the second version; it is gone when this is dropped and its processes have ended.
#[derive(Debug)]
pub struct Container {
    id: String,
    processes: PathBuf,
}

impl Container {
    /// Where such groups are mounted; nowhere if the machine has none.
    pub fn root() -> Result<Option<PathBuf>> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        });
        Ok(root)
    }

    /// Makes one, under an id that nothing else has.
    pub fn make() -> Result<Self> {
        let root = Self::root()?.context("control groups of the second version are mounted")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        // Twelve digits are enough to name it.
        let id = format!("{:08x}{:08x}{:048x}", now.subsec_nanos(), id(), now.as_secs());
        let path = root.join(format!("docker-{id}.scope"));
        fs::create_dir(&path)?;
        Ok(Self {
            id,
            processes: path.join("cgroup.procs"),
        })
    }

    /// The container's id: 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The words that start a program in it, which become that program.
    pub fn within(&self) -> Result<[&str; 4]> {
        let processes = self.processes.to_str().context("a group's path is text")?;
        Ok(["sh", "-c", "echo $$ >\"$0\" && exec \"$@\"", processes])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // A test that failed has said so; one that succeeded does not fail for this.
        drop(self.processes.parent().map(fs::remove_dir));
    }
}
