//! What a plan is: the hooks of one TLS library in one image, and what is known of its structures.

use crate::cause::Cause;
use crate::elf::identity::BuildId;
use crate::elf::machine::Machine;
use crate::hook::{Hook, HookKind, Role};
use crate::libraries::layout::{Facts, Layout, LayoutUnknown, NetConn, Sending};
use crate::libraries::library::Library;
use crate::reason::Reason;

/// Holds the plans of one image, and why there are no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    /// A plan for each TLS library in the image that can be probed.
    pub plans: Vec<ProbePlan>,
    /// Why others in the image are not probed. If there is no plan, why there is none: never empty then.
    pub reasons: Vec<Reason>,
}

/// Says what to probe of one TLS library in one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// The TLS library found.
    pub library: Library,
    /// The key under which the plan may be kept.
    pub build_id: BuildId,
    /// The machine of the code.
    pub machine: Machine,
    /// The hooks, in the order of the library's table of functions. A hook in a function behind public ones stands for
    /// all of them, in the place of the one that has its arguments. Hooks of other kinds for the same bytes follow;
    /// [`choose`](crate::choose) picks among the kinds.
    pub hooks: Vec<Hook>,
    /// The kinds of hooks that are not proven, in what role, and why.
    pub refused: Vec<(HookKind, Role, Cause)>,
    /// The functions of the table that the image does not have.
    pub absent: Vec<&'static str>,
    /// How to get from a connection to a descriptor, or why that is not known.
    pub layout: Result<Layout, LayoutUnknown>,
    /// How far the name of the crypto library's method of socket BIOs is from that method: a BIO whose method is
    /// another one only calls itself a socket. `None` where that is not known.
    pub socket_name: Option<i32>,
    /// How to get from a connection of Go to a descriptor; `None` for other libraries, and where that is not known.
    pub net_conn: Option<NetConn>,
    /// How what a connection writes is sent, where the taps know nothing else of its socket.
    pub sending: Sending,
    /// How to get from a connection to what was negotiated.
    pub facts: Facts,
}
