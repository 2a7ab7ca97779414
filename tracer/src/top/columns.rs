//! The columns of numbers, by each of which the rows can be sorted.

use std::cmp::Ordering;

use tracer_observe::{output::short_duration, top::Row};

/// A column of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Column {
    PerSecond,
    Errors,
    P50,
    P90,
    P99,
    Gateway,
    Partial,
}

impl Column {
    /// All columns, from left to right.
    pub(super) const ALL: [Self; 7] = [
        Self::PerSecond,
        Self::Errors,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::Gateway,
        Self::Partial,
    ];

    /// Returns its title.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::PerSecond => "REQ/S",
            Self::Errors => "ERR",
            Self::P50 => "P50",
            Self::P90 => "P90",
            Self::P99 => "P99",
            Self::Gateway => "GW P50",
            Self::Partial => "LOST",
        }
    }

    /// Returns the column `step` to the right, or to the left if it is negative.
    pub(super) fn beside(self, step: isize) -> Self {
        let place = Self::ALL.iter().position(|column| *column == self).unwrap_or_default();
        let next = place.checked_add_signed(step);
        next.and_then(|next| Self::ALL.get(next)).copied().unwrap_or(self)
    }

    /// Returns the number of a row as it is shown, in at most six characters.
    pub(super) fn text(self, row: &Row) -> String {
        let duration = |micros: Option<u64>| micros.map_or("-".to_owned(), short_duration);
        let figures = &row.figures;
        match self {
            Self::PerSecond => rate(figures.per_second),
            Self::Errors => count(figures.errors),
            Self::P50 => duration(figures.p50_us),
            Self::P90 => duration(figures.p90_us),
            Self::P99 => duration(figures.p99_us),
            Self::Gateway => duration(figures.gateway_p50_us),
            Self::Partial => count(figures.partial),
        }
    }

    /// Compares two rows, the greater one first. What is equal is in the order of the text, so that rows keep their places.
    pub(super) fn compare(self, left: &Row, right: &Row) -> Ordering {
        let (one, other) = (&left.figures, &right.figures);
        let order = match self {
            Self::PerSecond => other.per_second.total_cmp(&one.per_second),
            Self::Errors => other.errors.cmp(&one.errors),
            Self::P50 => other.p50_us.cmp(&one.p50_us),
            Self::P90 => other.p90_us.cmp(&one.p90_us),
            Self::P99 => other.p99_us.cmp(&one.p99_us),
            Self::Gateway => other.gateway_p50_us.cmp(&one.gateway_p50_us),
            Self::Partial => other.partial.cmp(&one.partial),
        };
        let text = |row: &Row| (row.request.clone(), row.status, row.side, row.upstream.clone());
        order.then_with(|| text(left).cmp(&text(right)))
    }
}

/// Formats a rate in at most six characters.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        format!("{per_second:.1}")
    } else if per_second < 100_000.0 {
        format!("{per_second:.0}")
    } else {
        format!("{:.0}k", (per_second / 1000.0).min(99_999.0))
    }
}

/// Formats a number in at most six characters; none is a dash.
fn count(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        1..100_000 => count.to_string(),
        100_000..100_000_000 => format!("{}k", count / 1000),
        100_000_000.. => format!("{}M", (count / 1_000_000).min(99_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        for (number, text) in [
            (0, "-"),
            (99_999, "99999"),
            (100_000, "100k"),
            (99_999_999, "99999k"),
            (u64::MAX, "99999M"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0.0, "0.0"),
            (9.94, "9.9"),
            (10.0, "10"),
            (99_999.0, "99999"),
            (1e6, "1000k"),
            (1e300, "99999k"),
        ] {
            assert_eq!(rate(number), text);
        }
    }

    #[test]
    fn the_columns_end_at_both_ends() {
        assert_eq!(Column::PerSecond.beside(-1), Column::PerSecond);
        assert_eq!(Column::PerSecond.beside(1), Column::Errors);
        assert_eq!(Column::Partial.beside(1), Column::Partial);
    }
}
