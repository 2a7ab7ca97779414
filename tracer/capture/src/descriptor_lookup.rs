//! Asking `/proc` where descriptors lead, for connections of which the kernel told no more.
//!
//! In: connection records that have a descriptor alone. Out: records that say what it led to at their time, for one of
//! the next batches; whoever correlates believes them if the connection goes on after that. So the link is followed at
//! once, by whoever drains, and its socket is searched for by a thread. Refuses, and counts, what comes while too much
//! waits; and rests after each search, so that many sockets do not take a CPU.

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
    limits::MAX_LOOKS,
    target::{Connected, inode_of_descriptor, netns_of, own_netns, unix_names},
    thread::set_realtime,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// How many times as long as a search the rest is, and as a dear one. A search has a cost of its own, however few sockets
/// there are: the kernel walks the whole of its table, some ten milliseconds for each family where that is large.
const REST: u32 = 3;
const LONG_REST: u32 = 9;

/// What a search may cost that is not dear.
const CHEAP: Duration = Duration::from_millis(25);

/// The thread that searches.
#[derive(Debug)]
pub(crate) struct DescriptorLookup {
    asked: SyncSender<ConnectionRecord>,
    refused: Arc<AtomicU64>,
}

impl DescriptorLookup {
    /// Starts it; what it finds goes to whoever drains.
    pub(crate) fn start(output: Arc<FollowOutput>) -> Result<Self> {
        let (asked, received) = sync_channel(MAX_LOOKS);
        let thread = thread::Builder::new().name("look".to_owned());
        // Nobody waits for its end: what it finds is of no use any more then.
        drop(thread.spawn(move || search_for_all(&received, &output))?);
        Ok(Self {
            asked,
            refused: Arc::default(),
        })
    }

    /// Asks about the descriptor that a record has, if it has that alone, and there is a socket.
    pub(crate) fn ask(&self, record: &[u8]) {
        if let Some(asked) = descriptor_alone(record)
            && let Some(followed) = follow(&asked)
            && self.asked.try_send(followed).is_err()
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends it, at its next rest; gives how many descriptors were not looked at.
    pub(crate) fn stop(self) -> u64 {
        drop(self.asked);
        self.refused.load(Ordering::Relaxed)
    }
}

fn descriptor_alone(record: &[u8]) -> Option<ConnectionRecord> {
    let (record, _) = ConnectionRecord::read_from_prefix(record).ok()?;
    let alone = record.header.kind == Kind::CONNECTION && record.source == AddressSource::DESCRIPTOR;
    (alone && record.fd >= 0).then_some(record)
}

fn search_for_all(asked: &Receiver<ConnectionRecord>, output: &FollowOutput) {
    // A connection goes on meanwhile, and may be over soon: beside a busy gateway most answers would come too late.
    let _realtime = set_realtime();
    while let Ok(first) = asked.recv() {
        let began = own_time();
        let waiting = std::iter::once(first).chain(asked.try_iter().take(MAX_LOOKS));
        search(waiting.collect(), |record| output.add_record(record.as_bytes()));
        let took = own_time().saturating_sub(began);
        thread::sleep(took * if took > CHEAP { LONG_REST } else { REST });
    }
}

/// How long this thread has run, and not how long it has waited to.
fn own_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Searches for the sockets of records, reading each network's once.
fn search(asked: Vec<ConnectionRecord>, mut tell: impl FnMut(&ConnectionRecord)) {
    let mut networks = HashMap::new();
    for mut record in asked {
        let pid = record.header.tgid;
        let Some(netns) = netns_of(pid) else {
            continue;
        };
        record.netns = netns;
        // The quicker way first. The kernel tells it of this process's own network alone.
        if netns == own_netns()
            && let Some(names) = unix_names(record.inode)
        {
            fill_names(&mut record, &names);
            tell(&record);
            continue;
        }
        let connected = networks.entry(netns).or_insert_with(|| Connected::seen_by(pid));
        if let Some((local, remote)) = connected.find(record.inode) {
            fill(&mut record, local, remote);
            tell(&record);
        }
    }
}

/// Follows a descriptor's link. The record's time is one at which the descriptor was what the link said, or later.
fn follow(asked: &ConnectionRecord) -> Option<ConnectionRecord> {
    let mut record = *asked;
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

    fn asking(fd: i32) -> ConnectionRecord {
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

    fn answers(asked: &[ConnectionRecord]) -> Vec<ConnectionRecord> {
        let mut answers = Vec::new();
        search(asked.iter().filter_map(follow).collect(), |record| {
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
    fn a_connected_sockets_descriptor_is_answered_with_its_addresses_and_the_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let before_ns = now_ns();
        let [answer] = answers(&[asking(client.as_raw_fd())]).try_into().unwrap();
        assert!((before_ns..=now_ns()).contains(&answer.header.ts_ns));
        let facts = facts(&answer);
        assert_eq!(facts.basis, Basis::Proc(client.as_raw_fd()));
        let own = client.local_addr().unwrap();
        let addresses = [own, client.peer_addr().unwrap()].map(Address::Inet);
        let [local, remote] = addresses;
        assert_eq!(facts.addresses, Some((local, remote)));
        assert_eq!(facts.netns, netns_of(std::process::id()));
    }

    #[test]
    fn a_unix_socket_is_answered_with_the_paths_of_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let [answer] = answers(&[asking(client.as_raw_fd())]).try_into().unwrap();
        let unix = |path: &[u8]| Address::Unix(path.into());
        let expected = (unix(b""), unix(path.as_os_str().as_encoded_bytes()));
        assert_eq!(facts(&answer).addresses, Some(expected));
    }

    #[test]
    fn a_socket_without_a_peer_and_what_is_no_socket_are_not_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(answers(&[asking(listener.as_raw_fd()), asking(file.as_raw_fd())]), []);
    }

    #[test]
    fn only_records_of_a_descriptor_alone_are_asked_about() {
        let bio = ConnectionRecord {
            source: AddressSource::BIO,
            ..asking(3)
        };
        assert!(descriptor_alone(asking(3).as_bytes()).is_some());
        assert!(descriptor_alone(bio.as_bytes()).is_none());
        assert!(descriptor_alone(asking(-1).as_bytes()).is_none());
        assert!(descriptor_alone(&asking(3).as_bytes()[..100]).is_none());
    }

    #[test]
    fn what_is_asked_beyond_the_bound_is_counted() {
        let (asked, received) = sync_channel(MAX_LOOKS);
        let lookup = DescriptorLookup {
            asked,
            refused: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..MAX_LOOKS + 3 {
            lookup.ask(asking(listener.as_raw_fd()).as_bytes());
        }
        assert_eq!(received.try_iter().count(), MAX_LOOKS);
        assert_eq!(lookup.stop(), 3);
    }
}
