//! The option of the command line that names a policy.

use std::{fs::File, io::Read as _, sync::Arc};

use super::{Policy, Rules};
use crate::limits::MAX_POLICY_BYTES;

/// Rules about exchanges.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// Print an alert for each exchange that a rule of this file matches
    #[arg(long, value_name = "FILE", value_parser = read)]
    policy: Option<Arc<Rules>>,
}

impl PolicyArgs {
    /// Returns whether a rule needs the parameters of handshakes.
    pub fn needs_handshakes(&self) -> bool {
        self.policy.as_ref().is_some_and(|rules| rules.needs_server_names())
    }

    /// Returns the policy, if there is one.
    pub fn policy(&self) -> Option<Policy> {
        self.policy.clone().map(Policy::new)
    }
}

/// Reads and parses a policy.
fn read(path: &str) -> Result<Arc<Rules>, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_POLICY_BYTES + 1).read_to_string(&mut text);
    if read.map_err(|error| error.to_string())? as u64 > MAX_POLICY_BYTES {
        return Err(format!("a policy has at most {MAX_POLICY_BYTES} bytes"));
    }
    let rules = Rules::parse(&text).map_err(|error| format!("{path}, {error}"))?;
    Ok(Arc::new(rules))
}
