//! The columns of a line.

/// How wide each column of a line that depends on the terminal is; 0 if it is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    /// Of the whole line.
    pub(super) width: usize,
    /// Of the method, the host and the path.
    pub(super) target: usize,
    /// Of the peer's address.
    pub(super) peer: usize,
    /// Of the first digits of the request id.
    pub(super) id: usize,
}

impl Layout {
    /// Divides a line of `width` columns. In 80 columns, a peer of 127.0.0.1 fits; wider lines first get room for any IPv4
    /// address, then for whole request ids and IPv6 addresses, and always for more of the path.
    pub(super) fn new(width: usize) -> Self {
        let width = width.max(LEAST_WIDTH);
        let extra = width.saturating_sub(80);
        let id = match width {
            ..72 => 0,
            _ => 8 + (extra.saturating_sub(40) / 2).min(28),
        };
        let peer = match width {
            ..60 => 0,
            _ => 15 + (extra / 4).min(6) + (extra.saturating_sub(100) / 4).min(26),
        };
        let with_space = |column: usize| column + usize::from(column > 0);
        let target = width - FIXED - with_space(peer) - with_space(id);
        Self {
            width,
            target,
            peer,
            id,
        }
    }
}

/// Columns of the time, the status, the duration and the side, with the spaces between and around the target.
const FIXED: usize = 12 + 1 + 3 + 1 + 1 + 6 + 1 + 2;

/// No line is narrower, whatever the terminal.
const LEAST_WIDTH: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_fill_the_line_and_no_column_shrinks_in_a_wider_one() {
        let mut last = Layout::new(72);
        for width in 72..500 {
            let layout = Layout::new(width);
            let Layout {
                width: whole,
                target,
                peer,
                id,
            } = layout;
            assert_eq!(FIXED + target + 1 + peer + 1 + id, width, "{layout:?}");
            assert_eq!(whole, width);
            assert!(
                target >= last.target && peer >= last.peer && id >= last.id,
                "{layout:?}"
            );
            last = layout;
        }
        assert_eq!((last.peer, last.id), (47, 36));
    }

    #[test]
    fn a_narrow_line_has_no_id_and_no_peer() {
        assert_eq!((Layout::new(71).id, Layout::new(71).peer), (0, 15));
        assert_eq!((Layout::new(59).id, Layout::new(59).peer), (0, 0));
        for width in 0..72 {
            assert!(Layout::new(width).target >= 13, "{width}");
        }
    }

    #[test]
    fn eighty_columns_have_room_for_a_method_and_a_path() {
        let layout = Layout::new(80);
        assert_eq!((layout.target, layout.peer, layout.id), (28, 15, 8));
    }
}
