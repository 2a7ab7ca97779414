//! Looks up in `/proc` which socket a descriptor refers to, on kernels where the BPF programs cannot read it.
//!
//! The draining thread follows the link `/proc/PID/fd/N` at once, because the descriptor may be closed and reused soon.
//! A thread then searches the addresses of the socket, and they become records of a later batch. Correlation accepts such
//! a record only if the connection is used after the record's time: then the descriptor cannot have been reused before.
//! The thread pauses after each search, so that a host with many sockets does not lose a CPU to it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tracer_ebpf::{AddressSource, ConnectionRecord, Kind};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{
    clock::now_ns,
    follow::FollowOutput,
    limits::MAX_DESCRIPTOR_LOOKUPS,
    target::{ConnectedSockets, inode_of_descriptor, netns_of, own_netns, unix_names},
    thread::set_realtime,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Pause after a cheap and after an expensive search, as a multiple of the CPU time that it took. Even a search for one
/// socket is not free: the kernel walks its whole hash table, for some ten milliseconds per address family if it is large.
const PAUSE_FACTOR: u32 = 3;
const LONG_PAUSE_FACTOR: u32 = 9;

/// Maximum CPU time of a cheap search.
const CHEAP: Duration = Duration::from_millis(25);

/// The handle on the searching thread.
#[derive(Debug)]
pub(crate) struct DescriptorLookup {
    requests: SyncSender<ConnectionRecord>,
    dropped: Arc<AtomicU64>,
}

impl DescriptorLookup {
    /// Starts the thread, which adds its records to `output`.
    pub(crate) fn start(output: Arc<FollowOutput>) -> Result<Self> {
        let (requests, receiver) = sync_channel(MAX_DESCRIPTOR_LOOKUPS);
        let thread = thread::Builder::new().name("lookup".to_owned());
        // Never joined: at the end of the trace its results are of no use.
        drop(thread.spawn(move || serve(&receiver, &output))?);
        Ok(Self {
            requests,
            dropped: Arc::default(),
        })
    }

    /// Requests the addresses for a connection record that has only a descriptor; ignores other records. Counts the
    /// request as dropped if too many are pending.
    pub(crate) fn request(&self, record: &[u8]) {
        if let Some(connection) = descriptor_only(record)
            && let Some(request) = follow_link(&connection)
            && self.requests.try_send(request).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks the thread to stop; returns how many requests were dropped.
    pub(crate) fn stop(self) -> u64 {
        drop(self.requests);
        self.dropped.load(Ordering::Relaxed)
    }
}

fn descriptor_only(record: &[u8]) -> Option<ConnectionRecord> {
    let (record, _) = ConnectionRecord::read_from_prefix(record).ok()?;
    let descriptor_only = record.header.kind == Kind::CONNECTION && record.source == AddressSource::DESCRIPTOR;
    (descriptor_only && record.fd >= 0).then_some(record)
}

fn serve(requests: &Receiver<ConnectionRecord>, output: &FollowOutput) {
    // Without real-time priority, a busy gateway would delay most results past the end of their connection.
    let _realtime = set_realtime();
    while let Ok(first) = requests.recv() {
        let began = cpu_time();
        let pending = std::iter::once(first).chain(requests.try_iter().take(MAX_DESCRIPTOR_LOOKUPS));
        search(pending.collect(), |record| output.add_record(record.as_bytes()));
        let took = cpu_time().saturating_sub(began);
        thread::sleep(took * if took > CHEAP { LONG_PAUSE_FACTOR } else { PAUSE_FACTOR });
    }
}

/// Returns the CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Searches the sockets of all requests, reading the TCP table of each network namespace once.
fn search(requests: Vec<ConnectionRecord>, mut emit: impl FnMut(&ConnectionRecord)) {
    let mut namespaces = HashMap::new();
    for mut record in requests {
        let pid = record.header.tgid;
        let Some(netns) = netns_of(pid) else {
            continue;
        };
        record.netns = netns;
        // Socket diagnostics are faster, and cover this process's own namespace only.
        if netns == own_netns()
            && let Some(names) = unix_names(record.inode)
        {
            fill_names(&mut record, &names);
            emit(&record);
            continue;
        }
        let sockets = namespaces
            .entry(netns)
            .or_insert_with(|| ConnectedSockets::seen_by(pid));
        if let Some((local, remote)) = sockets.find(record.inode) {
            fill(&mut record, local, remote);
            emit(&record);
        }
    }
}

/// Reads the socket's inode from the descriptor's link. The record's time is read afterwards, so the descriptor referred
/// to that socket at some time before it.
fn follow_link(connection: &ConnectionRecord) -> Option<ConnectionRecord> {
    let mut record = *connection;
    record.inode = inode_of_descriptor(record.header.tgid, record.header.tid, record.fd)?;
    record.header.ts_ns = now_ns();
    record.source = AddressSource::PROC;
    record.pending = 0;
    Some(record)
}

fn fill(record: &mut ConnectionRecord, local: SocketAddr, remote: SocketAddr) {
    record.family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    record.local = octets(local.ip());
    record.remote = octets(remote.ip());
    (record.local_port, record.remote_port) = (local.port(), remote.port());
}

fn fill_names(record: &mut ConnectionRecord, [local, remote]: &[Vec<u8>; 2]) {
    record.family = AF_UNIX;
    for (path, name) in [(&mut record.local_path, local), (&mut record.remote_path, remote)] {
        for (to, from) in path.iter_mut().zip(name) {
            *to = *from;
        }
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        net::{TcpListener, TcpStream},
        os::{
            fd::AsRawFd as _,
            unix::net::{UnixListener, UnixStream},
        },
    };

    use tracer_ebpf::RecordHeader;
    use tracer_observe::event::{Address, Basis, Event, Facts, parse};
    use zerocopy::FromZeros as _;

    use super::*;

    fn connection(fd: i32) -> ConnectionRecord {
        let own = std::process::id();
        ConnectionRecord {
            header: RecordHeader {
                kind: Kind::CONNECTION,
                tgid: own,
                tid: own,
                object: 5,
                generation: 6,
                ..RecordHeader::new_zeroed()
            },
            fd,
            source: AddressSource::DESCRIPTOR,
            pending: 1,
            ..ConnectionRecord::new_zeroed()
        }
    }

    fn answers(connections: &[ConnectionRecord]) -> Vec<ConnectionRecord> {
        let mut answers = Vec::new();
        search(connections.iter().filter_map(follow_link).collect(), |record| {
            answers.push(*record);
        });
        answers
    }

    fn facts(record: &ConnectionRecord) -> Facts {
        let (origin, event) = parse(record.as_bytes()).unwrap();
        assert_eq!((origin.key.ssl, origin.key.generation), (5, 6));
        let Event::Facts(facts) = event else {
            panic!("not facts")
        };
        facts
    }

    #[test]
    fn a_connected_socket_is_found_with_its_addresses_and_the_time_of_the_lookup() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let before_ns = now_ns();
        let [answer] = answers(&[connection(client.as_raw_fd())]).try_into().unwrap();
        assert!((before_ns..=now_ns()).contains(&answer.header.ts_ns));
        let facts = facts(&answer);
        assert_eq!(facts.basis, Basis::Proc(client.as_raw_fd()));
        let own = client.local_addr().unwrap();
        let addresses = [own, client.peer_addr().unwrap()].map(Address::from);
        let [local, remote] = addresses;
        assert_eq!(facts.addresses, Some((local, remote)));
        assert_eq!(facts.netns, netns_of(std::process::id()));
    }

    #[test]
    fn a_unix_socket_is_found_with_the_paths_of_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let [answer] = answers(&[connection(client.as_raw_fd())]).try_into().unwrap();
        let unix = |path: &[u8]| Address::Unix(path.into());
        let expected = (unix(b""), unix(path.as_os_str().as_encoded_bytes()));
        assert_eq!(facts(&answer).addresses, Some(expected));
    }

    #[test]
    fn an_unconnected_socket_and_a_file_have_no_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(
            answers(&[connection(listener.as_raw_fd()), connection(file.as_raw_fd())]),
            []
        );
    }

    #[test]
    fn only_records_with_nothing_but_a_descriptor_are_looked_up() {
        let bio = ConnectionRecord {
            source: AddressSource::BIO,
            ..connection(3)
        };
        assert!(descriptor_only(connection(3).as_bytes()).is_some());
        assert!(descriptor_only(bio.as_bytes()).is_none());
        assert!(descriptor_only(connection(-1).as_bytes()).is_none());
        assert!(descriptor_only(&connection(3).as_bytes()[..100]).is_none());
    }

    #[test]
    fn requests_beyond_the_bound_are_dropped_and_counted() {
        let (requests, receiver) = sync_channel(MAX_DESCRIPTOR_LOOKUPS);
        let lookup = DescriptorLookup {
            requests,
            dropped: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..MAX_DESCRIPTOR_LOOKUPS + 3 {
            lookup.request(connection(listener.as_raw_fd()).as_bytes());
        }
        assert_eq!(receiver.try_iter().count(), MAX_DESCRIPTOR_LOOKUPS);
        assert_eq!(lookup.stop(), 3);
    }
}
