//! How large rings and tables are unless the user says otherwise.

use tracer_ebpf::MAX_CONNECTIONS;

use crate::{
    limits::{LARGEST_USUAL_RING_BYTES, MAX_RINGS_BYTES, SMALLEST_USUAL_RING_BYTES, USUAL_CONNECTIONS},
    target::{Selection, descriptors_of},
};

/// Room for as many connections as the selected processes could have open now.
pub fn usual_connections(selection: &Selection) -> u32 {
    usual_connections_of(descriptors_of(selection))
}

fn usual_connections_of(descriptors: u64) -> u32 {
    let most = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let descriptors = u32::try_from(descriptors).unwrap_or(u32::MAX).min(most);
    descriptors.next_power_of_two().clamp(USUAL_CONNECTIONS, most)
}

/// What one CPU can write in the longest time the rings are left alone, as long as all rings together stay in bounds.
pub fn usual_ring_bytes() -> u32 {
    let cpus = aya::util::online_cpus().map_or(1, |cpus| cpus.len());
    usual_ring_bytes_of(u32::try_from(cpus).unwrap_or(u32::MAX))
}

fn usual_ring_bytes_of(cpus: u32) -> u32 {
    let share = MAX_RINGS_BYTES / cpus.max(1);
    let largest_power = share.checked_ilog2().map_or(0, |log| 1_u32 << log);
    largest_power.clamp(SMALLEST_USUAL_RING_BYTES, LARGEST_USUAL_RING_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_as_large_as_the_bound_of_all_allows() {
        const MIB: u32 = 1024 * 1024;
        let of = |cpus| usual_ring_bytes_of(cpus) / MIB;
        assert_eq!([1, 2, 16, 17, 64, 1024].map(of), [16, 16, 16, 8, 4, 1]);
    }

    #[test]
    fn tables_have_room_for_the_connections_there_are_within_bounds() {
        let of = usual_connections_of;
        assert_eq!([0, 768, 8192, 8193].map(of), [8192, 8192, 8192, 16_384]);
        assert_eq!([65_536, 65_537, u64::MAX].map(of), [65_536; 3]);
    }
}
