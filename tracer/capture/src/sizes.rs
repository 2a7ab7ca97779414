//! Default sizes of rings and tables.

use tracer_ebpf::MAX_CONNECTIONS;

use crate::{
    limits::{DEFAULT_CONNECTIONS, DEFAULT_RING_BYTES, MAX_RINGS_BYTES, MIN_DEFAULT_RING_BYTES},
    target::{Selection, descriptors_of},
};

/// Returns the default size of the connection table, in connections: one for each descriptor that the selected processes
/// have allocated room for.
pub fn default_connections(selection: &Selection) -> u32 {
    default_connections_for(descriptors_of(selection))
}

fn default_connections_for(descriptors: u64) -> u32 {
    let most = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let descriptors = u32::try_from(descriptors).unwrap_or(u32::MAX).min(most);
    descriptors.next_power_of_two().clamp(DEFAULT_CONNECTIONS, most)
}

/// Returns the default size of each CPU's ring, in bytes. It shrinks with the number of online CPUs, so that all rings
/// together stay below [`MAX_RINGS_BYTES`].
pub fn default_ring_bytes() -> u32 {
    let cpus = aya::util::online_cpus().map_or(1, |cpus| cpus.len());
    default_ring_bytes_for(u32::try_from(cpus).unwrap_or(u32::MAX))
}

fn default_ring_bytes_for(cpus: u32) -> u32 {
    let share = MAX_RINGS_BYTES / cpus.max(1);
    let power_of_two = share.checked_ilog2().map_or(0, |log| 1_u32 << log);
    power_of_two.clamp(MIN_DEFAULT_RING_BYTES, DEFAULT_RING_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_shrink_to_keep_the_bound_on_their_sum() {
        const MIB: u32 = 1024 * 1024;
        let of = |cpus| default_ring_bytes_for(cpus) / MIB;
        assert_eq!([1, 2, 16, 17, 64, 1024].map(of), [16, 16, 16, 8, 4, 1]);
    }

    #[test]
    fn the_connection_table_has_room_for_all_descriptors_within_bounds() {
        let of = default_connections_for;
        assert_eq!([0, 768, 6000, 6001, 8193].map(of), [6000, 6000, 8192, 8192, 16_384]);
        assert_eq!([65_536, 65_537, u64::MAX].map(of), [65_536; 3]);
    }
}
