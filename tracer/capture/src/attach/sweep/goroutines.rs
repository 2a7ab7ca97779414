//! Calls of goroutines that ended within them: by a panic that passed through the call, or by `runtime.Goexit`.
//!
//! No event tells that a goroutine ends, and its thread goes on. The next call with the same key takes the place of such a
//! call; others are looked for once the map is half full.

use std::collections::BTreeMap;

use tracer_ebpf::{AddressKey, CallState};

/// How old a call has to be to count as left if nothing is known of its connection, which may have yet to begin.
const WAITING_NS: u64 = 60_000_000_000;

/// Lists the calls that their goroutines have left: one that began later, and is as near to the top of the stack, cannot be
/// within them. So have those without a connection that are a minute old.
pub(super) fn left(
    calls: &[(AddressKey, CallState)],
    has_connection: impl Fn(AddressKey) -> bool,
    now_ns: u64,
) -> Vec<(AddressKey, CallState)> {
    let of_goroutines = || calls.iter().filter(|(key, _)| key.is_of_goroutine());
    let mut goroutines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, call) in of_goroutines() {
        let one = goroutines.entry((key.tgid, key.address)).or_default();
        one.push((call.transfer.began_ns, key.below_top));
    }
    let has_left = |key: &AddressKey, call: &CallState| {
        let mut others = goroutines.get(&(key.tgid, key.address)).into_iter().flatten();
        let is_left =
            others.any(|(began_ns, below_top)| *began_ns > call.transfer.began_ns && *below_top <= key.below_top);
        let is_old = now_ns.saturating_sub(call.transfer.began_ns) > WAITING_NS;
        is_left || is_old && !has_connection(AddressKey::new(call.transfer.object, key.tgid))
    };
    of_goroutines()
        .filter(|(key, call)| has_left(key, call))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Transfer;
    use zerocopy::FromZeros as _;

    use super::*;

    fn call(goroutine: u64, below_top: u32, began_ns: u64) -> (AddressKey, CallState) {
        let call = CallState {
            transfer: Transfer {
                object: 0x1000,
                began_ns,
                ..Transfer::NEW
            },
            ..CallState::new_zeroed()
        };
        (AddressKey::of_goroutine(goroutine, 7, below_top), call)
    }

    fn keys(calls: &[(AddressKey, CallState)], now_ns: u64) -> Vec<(u64, u32)> {
        let found = left(calls, |object| object == AddressKey::new(0x1000, 7), now_ns);
        found.iter().map(|(key, _)| (key.address, key.below_top)).collect()
    }

    #[test]
    fn a_call_is_left_when_a_later_one_is_no_deeper() {
        // The second is within the first.
        let nested = [call(1, 100, 10), call(1, 300, 11)];
        assert_eq!(keys(&nested, 12), []);
        let left = [call(1, 300, 10), call(1, 200, 11), call(2, 100, 12), call(1, 900, 13)];
        assert_eq!(keys(&left, 14), [(1, 300)]);
        let of_a_thread = [(AddressKey::new(1, 7), call(1, 0, 5).1), call(1, 200, 11)];
        assert_eq!(keys(&of_a_thread, 14), []);
    }

    #[test]
    fn a_call_without_a_connection_is_left_after_a_while() {
        let mut waiting = call(1, 100, 10);
        assert_eq!(keys(&[waiting], 10 + 2 * WAITING_NS), [], "it has one");
        waiting.1.transfer.object = 0x2000;
        assert_eq!(keys(&[waiting], 10 + WAITING_NS), []);
        assert_eq!(keys(&[waiting], 11 + WAITING_NS), [(1, 100)]);
    }
}
