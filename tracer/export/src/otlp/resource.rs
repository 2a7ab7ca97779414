//! Resources: the processes that records are about.

use std::{collections::HashMap, sync::Arc};

use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tracer_observe::batch::Source;

use super::{attributes::Attributes, container::Container, record::EncodedResource};
use crate::limits::MAX_RESOURCES;

/// Makes the resource of each process once.
#[derive(Debug)]
pub(super) struct Resources {
    /// Attributes from the environment.
    given: Vec<(String, String)>,
    /// The name of the machine; not known of a tape.
    host: Option<String>,
    source: Source,
    encoded: HashMap<(u32, String), EncodedResource>,
    own: EncodedResource,
}

impl Resources {
    pub(super) fn new(given: Vec<(String, String)>, source: Source) -> Self {
        let host = match source {
            Source::Live => rustix::system::uname().nodename().to_str().ok().map(str::to_owned),
            Source::Tape => None,
        };
        let mut resources = Self {
            given,
            host,
            source,
            encoded: HashMap::new(),
            own: Arc::default(),
        };
        resources.own = resources.encode("tlscope", None);
        resources
    }

    /// Returns the resource of a process.
    pub(super) fn of(&mut self, pid: u32, process: &str) -> EncodedResource {
        let key = (pid, process.to_owned());
        if let Some(known) = self.encoded.get(&key) {
            return Arc::clone(known);
        }
        if self.encoded.len() >= MAX_RESOURCES {
            self.encoded.clear();
        }
        let encoded = self.encode(process, Some(pid));
        self.encoded.insert(key, Arc::clone(&encoded));
        encoded
    }

    /// Returns the resource of tlscope, for what is about no process.
    pub(super) fn own(&self) -> EncodedResource {
        Arc::clone(&self.own)
    }

    fn encode(&self, process: &str, pid: Option<u32>) -> EncodedResource {
        let mut attributes = Attributes::default();
        let is_given = |name| self.given.iter().any(|(known, _)| known == name);
        if !is_given("service.name") {
            attributes.text("service.name", process);
        }
        for (name, value) in &self.given {
            attributes.text(name.as_str(), value);
        }
        if !is_given("host.name") {
            attributes.text_if_any("host.name", self.host.as_deref());
        }
        if let Some(pid) = pid {
            let Container { id, pod } = match self.source {
                Source::Live => Container::of(pid),
                Source::Tape => Container::default(),
            };
            attributes.text_if_any("container.id", id.as_deref());
            attributes.text_if_any("k8s.pod.uid", pod.as_deref());
            attributes.number("process.pid", pid);
            attributes.text("tlscope.process", process);
        }
        let resource = Resource {
            attributes: attributes.into_list(),
            ..Resource::default()
        };
        resource.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(encoded: &EncodedResource) -> Vec<String> {
        let resource = Resource::decode(&**encoded).unwrap();
        resource.attributes.into_iter().map(|attribute| attribute.key).collect()
    }

    #[test]
    fn a_process_is_a_service_unless_the_environment_names_one() {
        let mut resources = Resources::new(Vec::new(), Source::Tape);
        let nginx = resources.of(7, "nginx");
        assert_eq!(names(&nginx), ["service.name", "process.pid", "tlscope.process"]);
        assert!(Arc::ptr_eq(&nginx, &resources.of(7, "nginx")));
        assert_ne!(nginx, resources.of(8, "nginx"));
        let given = vec![
            ("service.name".to_owned(), "shop".to_owned()),
            ("zone".to_owned(), "a".to_owned()),
        ];
        let mut resources = Resources::new(given, Source::Live);
        // No process has this id, so that it is in no container.
        assert_eq!(
            names(&resources.of(u32::MAX, "nginx")),
            ["service.name", "zone", "host.name", "process.pid", "tlscope.process"]
        );
        assert_eq!(names(&resources.own()), ["service.name", "zone", "host.name"]);
    }

    #[test]
    fn few_resources_are_remembered() {
        let mut resources = Resources::new(Vec::new(), Source::Tape);
        for pid in 0..=u32::try_from(MAX_RESOURCES).unwrap() {
            resources.of(pid, "x");
        }
        assert_eq!(resources.encoded.len(), 1);
    }
}
