//! The container and the pod of a process, by the names of its control groups.
//!
//! Runtimes name a group after the id of a container, Kubernetes one above it after that of a pod. Nothing else is asked.

use std::{fs::File, io::Read as _};

/// Where a process runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Container {
    /// `container.id`
    pub(super) id: Option<String>,
    /// `k8s.pod.uid`
    pub(super) pod: Option<String>,
}

impl Container {
    /// Reads the control groups of a process of this machine. Nothing is known of one that has exited.
    pub(super) fn of(pid: u32) -> Self {
        let mut groups = String::new();
        let read = File::open(format!("/proc/{pid}/cgroup"))
            .and_then(|file| file.take(MAX_GROUPS_BYTES).read_to_string(&mut groups));
        match read {
            Ok(_) => Self::parse(&groups),
            Err(_gone) => Self::default(),
        }
    }

    fn parse(groups: &str) -> Self {
        let mut container = Self::default();
        for line in groups.lines() {
            let path = line.splitn(3, ':').last().unwrap_or_default();
            let components = || path.split('/').rev();
            // The innermost: a container may run containers of its own.
            container.id = container.id.or_else(|| components().find_map(container_id));
            container.pod = container.pod.or_else(|| components().find_map(pod_uid));
        }
        container
    }
}

/// Returns the id of a container in a component such as `docker-ID.scope`.
fn container_id(component: &str) -> Option<String> {
    let mut words = component.split(['-', '.', ':']);
    words.find(|word| is_hexadecimal(word, 64)).map(str::to_owned)
}

/// Returns the uid of a pod in a component such as `podUID`, or `kubepods-burstable-podUID.slice` with underscores for hyphens.
fn pod_uid(component: &str) -> Option<String> {
    let name = component.strip_suffix(".slice").unwrap_or(component);
    let (before, uid) = name.rsplit_once("pod")?;
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    let uid = uid.replace('_', "-");
    let digits = uid.replace('-', "");
    let hyphens = uid.len() - digits.len();
    // That of a static pod is a hash, without hyphens.
    (is_hexadecimal(&digits, 32) && matches!(hyphens, 0 | 4)).then_some(uid)
}

fn is_hexadecimal(word: &str, length: usize) -> bool {
    word.len() == length && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Enough for the groups of version 1, a path of `PATH_MAX` included.
const MAX_GROUPS_BYTES: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1a0c9e8b7d4f1a0c9e8b7d4f1a0c9e8b7d4f1a0c9e8b7d4f1a0c9e8b7d4f1a";
    const UID: &str = "0d7c8f8e-4c5b-4d2a-9a61-6a1b2c3d4e5f";

    fn container(groups: &str) -> (Option<String>, Option<String>) {
        let Container { id, pod } = Container::parse(groups);
        (id, pod)
    }

    #[test]
    fn a_container_and_a_pod_name_control_groups() {
        let id = Some(ID.to_owned());
        let pod = Some(UID.to_owned());
        let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
        for groups in [
            format!("0::/kubepods.slice/kubepods-burstable.slice/{slice}/cri-containerd-{ID}.scope\n"),
            format!("12:cpu:/\n3:memory:/kubepods/besteffort/pod{UID}/{ID}\n"),
            format!("0::/kubelet.slice/kubelet-kubepods.slice/{slice}/crio-{ID}.scope/container"),
            format!("0::/system.slice/containerd.service/{slice}:cri-containerd:{ID}"),
        ] {
            let (found, of_pod) = container(&groups);
            assert_eq!(found, id, "{groups}");
            assert!(of_pod == pod || groups.contains(":cri-containerd:"), "{groups}");
        }
        assert_eq!(
            container(&format!("0::/system.slice/docker-{ID}.scope")),
            (id.clone(), None)
        );
        assert_eq!(container(&format!("0::/docker/{ID}")), (id, None));
    }

    #[test]
    fn other_groups_name_none() {
        for groups in [
            "",
            "0::/\n",
            "0::/user.slice/user-0.slice/session-1.scope",
            "0::/tripod1234/x",
            "x",
        ] {
            assert_eq!(container(groups), (None, None), "{groups}");
        }
        assert_eq!(Container::of(u32::MAX), Container::default());
    }
}
