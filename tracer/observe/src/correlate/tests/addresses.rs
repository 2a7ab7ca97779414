//! Addresses: when they become known, and what is held until then.

use super::*;
use crate::{
    event::Address,
    limits::{ADDRESS_NS, MAX_ADDRESS_BYTES},
};

fn remote(observed: &Observed) -> Option<u16> {
    match &observed.connection.remote {
        Some(Address::Inet(remote)) => Some(remote.port()),
        _ => None,
    }
}

fn remotes(bench: &Bench) -> Vec<Option<u16>> {
    bench.out.iter().map(remote).collect()
}

#[test]
fn output_is_held_until_the_ciphertext_gives_the_addresses() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, true);
    bench.exchange(1, 0);
    bench.exchange(1, 1);
    assert!(bench.out.is_empty());
    bench.known(1, Source::CIPHERTEXT, 50_000, 0);
    assert_eq!(remotes(&bench), [Some(50_000), Some(50_000)]);
    assert_eq!(bench.out[0].connection.source, AddressSource::Ciphertext);
    let ordinals: Vec<_> = bench.exchanges().iter().map(|exchange| exchange.ordinal).collect();
    assert_eq!(ordinals, [1, 2]);
    bench.exchange(1, 2);
    assert_eq!(bench.out.len(), 3, "nothing is held any more");
    assert_eq!(bench.correlator.counters().addresses_late, 0);
}

#[test]
fn output_is_not_held_if_addresses_are_known_or_will_not_be() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, true);
    bench.exchange(1, 0);
    bench.unknown(2, false);
    bench.exchange(2, 0);
    bench.known(3, Source::BIO, 50_000, 0);
    bench.exchange(3, 0);
    assert_eq!(bench.ids(), ["7-2", "7-3"]);
}

#[test]
fn output_is_held_until_the_timeout() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, true);
    bench.wait(10 * ADDRESS_NS);
    bench.exchange(1, 0);
    bench.wait(ADDRESS_NS - 1);
    assert!(bench.out.is_empty());
    bench.wait(1);
    assert_eq!(
        (bench.out.len(), bench.out[0].connection.source),
        (1, AddressSource::CustomBio)
    );
    assert_eq!(bench.correlator.counters().addresses_late, 1);
    bench.exchange(1, 1);
    assert_eq!(bench.out.len(), 2, "output is held at most once");
    assert_eq!(bench.correlator.counters().addresses_late, 1);
}

#[test]
fn output_is_held_up_to_the_limit_of_bytes() {
    let head = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ".as_slice(),
        &[b'x'; 16_000],
        b"\r\n\r\n",
    ]
    .concat();
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, true);
    let mut waited = 0;
    for index in 0_u64.. {
        bench.data(1, Way::READ, index * REQUEST.len() as u64, REQUEST);
        bench.data(1, Way::WRITE, index * head.len() as u64, &head);
        if !bench.out.is_empty() {
            break;
        }
        waited += head.len();
        bench.now_ns = 0;
    }
    assert_eq!(bench.out.len(), waited / head.len() + 1);
    assert!(
        waited <= MAX_ADDRESS_BYTES && waited + 3 * head.len() > MAX_ADDRESS_BYTES,
        "{waited}"
    );
    assert_eq!(bench.correlator.counters().addresses_late, 1);
}

#[test]
fn held_output_is_emitted_at_the_end_of_the_connection_the_process_and_the_run() {
    let ends: [fn(&mut Bench); 4] = [
        |bench| bench.end(1, REQUEST.len(), RESPONSE.len()),
        |bench| bench.change(PID, Change::ENDED, 0, ""),
        |bench| bench.change(PID, Change::EXECUTED, 0, "other"),
        Bench::finish,
    ];
    for end in ends {
        let mut bench = Bench::new(Bounds::default());
        bench.unknown(1, true);
        bench.exchange(1, 0);
        assert!(bench.out.is_empty());
        end(&mut bench);
        assert_eq!(bench.exchanges().len(), 1);
        let counters = bench.correlator.counters();
        assert_eq!((counters.addresses_late, counters.addresses_never), (0, 1));
    }
}

#[test]
fn output_is_held_for_lost_facts_only_on_a_new_connection() {
    let mut bench = Bench::new(Bounds::default());
    bench.exchange(1, 0);
    assert!(bench.out.is_empty());
    bench.known(1, Source::BIO, 50_000, 0);
    assert_eq!(remotes(&bench), [Some(50_000)]);
    bench.data(2, Way::READ, 0, REQUEST);
    bench.wait(ADDRESS_NS);
    bench.data(2, Way::WRITE, 0, RESPONSE);
    assert_eq!(bench.out[1].connection.source, AddressSource::Unseen);
}

#[test]
fn facts_without_addresses_do_not_replace_known_ones() {
    let mut bench = Bench::new(Bounds::default());
    bench.known(1, Source::CIPHERTEXT, 50_000, 0);
    bench.unknown(1, true);
    bench.exchange(1, 0);
    bench.unknown(1, false);
    bench.exchange(1, 1);
    assert_eq!(remotes(&bench), [Some(50_000); 2]);
    assert_eq!(bench.out[1].connection.source, AddressSource::Ciphertext);
}

#[test]
fn an_emitted_exchange_keeps_its_addresses() {
    let mut bench = Bench::new(Bounds::default());
    bench.known(1, Source::BIO, 50_000, 0);
    bench.exchange(1, 0);
    bench.known(1, Source::BIO, 50_001, 0);
    bench.exchange(1, 1);
    assert_eq!(remotes(&bench), [Some(50_000), Some(50_001)]);
}

#[test]
fn only_another_network_namespace_is_reported() {
    let mut bench = Bench::new(Bounds::default());
    for (ssl, netns) in [(1, OWN_NETNS), (2, 200), (3, 0)] {
        bench.known(ssl, Source::BIO, 50_000, netns);
        bench.exchange(ssl, 0);
    }
    let reported: Vec<_> = bench.out.iter().map(|observed| observed.connection.netns).collect();
    assert_eq!(reported, [None, Some(200), None]);
}

#[test]
fn no_network_namespace_is_reported_if_the_own_one_is_unknown() {
    let correlator = Correlator::new(&Header::default(), Settings::default(), false);
    let mut bench = Bench {
        correlator,
        ..Bench::new(Bounds::default())
    };
    bench.known(1, Source::BIO, 50_000, 200);
    bench.exchange(1, 0);
    assert_eq!(bench.out[0].connection.netns, None);
}

#[test]
fn a_lookup_is_used_if_data_moves_after_it() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.lookup(1, 5, 50_000, 0);
    assert_eq!(bench.out.len(), 0);
    bench.exchange(1, 0);
    bench.exchange(1, 1);
    assert_eq!(remotes(&bench), [Some(50_000); 2]);
    assert_eq!(bench.out[0].connection.source, AddressSource::Proc);
    assert_eq!(bench.correlator.counters().addresses_late, 0);
}

#[test]
fn a_lookup_after_the_last_data_is_not_used() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.exchange(1, 0);
    bench.lookup(1, 5, 50_000, 0);
    bench.wait(ADDRESS_NS);
    assert_eq!(remotes(&bench), [None]);
    assert_eq!(bench.out[0].connection.source, AddressSource::Unconfirmed);
    bench.end(1, REQUEST.len(), RESPONSE.len());
    bench.finish();
    assert_eq!(remotes(&bench), [None]);
}

#[test]
fn data_after_a_lookup_confirms_it_from_then_on() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.exchange(1, 0);
    bench.lookup(1, 5, 50_000, 0);
    bench.wait(ADDRESS_NS);
    bench.exchange(1, 1);
    assert_eq!(remotes(&bench), [None, Some(50_000)]);
}

#[test]
fn a_late_lookup_is_confirmed_by_data_that_moved_after_it_and_arrived_before_it() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.wait(2 * MILLISECOND);
    bench.exchange(1, 0);
    // Two records and this one are a millisecond each.
    bench.lookup(1, 5, 50_000, 4 * MILLISECOND);
    assert_eq!(remotes(&bench), [Some(50_000)]);
}

#[test]
fn a_lookup_of_another_descriptor_or_before_the_descriptor_was_set_is_not_used() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.descriptor(1, 6);
    bench.lookup(1, 5, 50_000, 0);
    bench.wait(2 * MILLISECOND);
    bench.descriptor(1, 6);
    bench.lookup(1, 6, 50_001, 3 * MILLISECOND);
    bench.exchange(1, 0);
    bench.wait(ADDRESS_NS);
    assert_eq!(remotes(&bench), [None]);
}

#[test]
fn setting_the_descriptor_again_drops_the_addresses() {
    let mut bench = Bench::new(Bounds::default());
    bench.descriptor(1, 5);
    bench.lookup(1, 5, 50_000, 0);
    bench.exchange(1, 0);
    bench.descriptor(1, 5);
    bench.exchange(1, 1);
    bench.wait(ADDRESS_NS);
    bench.lookup(1, 5, 50_001, 0);
    bench.exchange(1, 2);
    assert_eq!(remotes(&bench), [Some(50_000), None, Some(50_001)]);
}

#[test]
fn a_lookup_of_a_connection_that_has_ended_tracks_nothing() {
    let mut bench = Bench::with_summaries();
    bench.descriptor(1, 5);
    bench.exchange(1, 0);
    bench.end(1, REQUEST.len(), RESPONSE.len());
    bench.lookup(1, 5, 50_000, 0);
    bench.finish();
    assert_eq!(bench.summaries().len(), 1);
    bench.descriptor(2, 5);
    assert_eq!(bench.correlator.connections.keys().len(), 1);
}
