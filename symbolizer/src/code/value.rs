//! Abstract values: what a register or a place on the stack is known to hold.
//!
//! The only values that matter are arguments, what chains of at most two loads from them give, addresses of the stack
//! and in what arguments point to, and numbers. A field before its structure, or whose offset does not fit 16 bits, is
//! unknown.
//!
//! A value that a path may have, among others, is what it is on all paths, or unknown. Two kinds of addresses must not
//! get lost so: those on the stack, where a call that is given one may write, and those of the one argument that is
//! tracked.

use super::field::Field;

/// An address that comes from an argument by additions alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Derived {
    argument: usize,
    /// How far it is behind the argument, where that is known.
    offset: Option<i64>,
}

impl Derived {
    /// What lies `offset` bytes behind it.
    pub(super) fn load(self, offset: i64, width: u8) -> Option<Field> {
        let offset = self.offset?.checked_add(offset)?;
        Field::argument(self.argument).load(offset, width)
    }

    const fn plus(self, amount: Option<i64>) -> Self {
        let offset = match (self.offset, amount) {
            (Some(offset), Some(amount)) => offset.checked_add(amount),
            _ => None,
        };
        Self { offset, ..self }
    }
}

/// What a register or a place on the stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// Anything.
    Unknown,
    /// A number.
    Constant(u64),
    /// An address on the stack, counted from where it stood when the function was entered.
    Stack(i64),
    /// Anything, among it addresses on the stack from there on upwards.
    Frame(i64),
    /// An argument or a field.
    Field(Field),
    /// An address in what an argument points to.
    Derived(Derived),
    /// An address in what a field points to, so many bytes behind its beginning.
    Within(Field, i64),
    /// Anything, among it addresses that come from this argument, which is tracked.
    Possible(usize),
}

impl Value {
    /// Its lower bytes, extended by their sign; the sign of a number is not followed.
    pub(super) const fn sign_extended(self, width: u8) -> Self {
        match self.truncated(width) {
            Self::Field(field) => Self::Field(field),
            Self::Unknown
            | Self::Constant(_)
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => Self::Unknown,
        }
    }

    /// Its lower bytes, the rest zero.
    pub(super) const fn truncated(self, width: u8) -> Self {
        match (self, width) {
            (whole, 8..) => whole,
            (Self::Constant(number), 1..) => Self::Constant(number & (u64::MAX >> (64 - 8 * width as u32))),
            (Self::Field(field), 1..) => Self::Field(field.truncated(width)),
            _ => Self::Unknown,
        }
    }

    /// The same address, moved, or the number with so much added.
    pub(super) fn plus(self, amount: i64) -> Self {
        match self {
            same if amount == 0 => same,
            Self::Stack(at) => at.checked_add(amount).map_or(Self::Frame(i64::MIN), Self::Stack),
            Self::Frame(at) => Self::Frame(at.saturating_add(amount)),
            Self::Possible(argument) => Self::Possible(argument),
            Self::Field(_) | Self::Derived(_) => self.derived().map_or_else(
                || self.within(amount),
                |derived| Self::Derived(derived.plus(Some(amount))),
            ),
            Self::Within(_, offset) => offset
                .checked_add(amount)
                .map_or(Self::Unknown, |offset| self.within(offset)),
            Self::Constant(number) => Self::Constant(number.wrapping_add_signed(amount)),
            Self::Unknown => Self::Unknown,
        }
    }

    /// The sum or difference of this and a value of which nothing is known but whether it is an address.
    pub(super) fn moved(self, by: Self, tracked: Option<usize>) -> Self {
        let is_address = |value: Self| value.may_be(tracked) || value.lowest_on_stack().is_some();
        match (self, by) {
            (address, other) | (other, address) if !is_address(other) && address.derived().is_some() => address
                .derived()
                .map_or(Self::Unknown, |derived| Self::Derived(derived.plus(None))),
            _ => Self::mixed([self, by], tracked),
        }
    }

    /// What comes of values in a way that is not followed.
    pub(super) fn mixed(values: impl IntoIterator<Item = Self>, tracked: Option<usize>) -> Self {
        let lose = |all: Self, value: Self| all.join(value.lost(tracked), tracked);
        values.into_iter().fold(Self::Unknown, lose)
    }

    /// What remains if nothing but the kind of address is known.
    pub(super) fn lost(self, tracked: Option<usize>) -> Self {
        match (tracked, self.lowest_on_stack()) {
            (Some(argument), _) if self.may_be(tracked) => Self::Possible(argument),
            (_, Some(at)) => Self::Frame(at),
            _ => Self::Unknown,
        }
    }

    /// What it is on two paths, on one of which it is the other.
    pub(super) fn join(self, other: Self, tracked: Option<usize>) -> Self {
        if self == other {
            return self;
        }
        if let (Some(one), Some(two)) = (self.derived(), other.derived())
            && one.argument == two.argument
        {
            let offset = one.offset.filter(|offset| two.offset == Some(*offset));
            return Self::Derived(Derived { offset, ..one });
        }
        if let Some(argument) = tracked.filter(|_| self.may_be(tracked) || other.may_be(tracked)) {
            return Self::Possible(argument);
        }
        if let (Self::Field(one), Self::Field(two)) = (self, other)
            && one.as_part_of_argument().is_some()
            && one.shorter(two) == two.shorter(one)
        {
            return Self::Field(one.shorter(two));
        }
        match (self.lowest_on_stack(), other.lowest_on_stack()) {
            // A pointer that comes down in a loop.
            (Some(one), Some(two)) if matches!(self, Self::Frame(_)) && two < one => Self::Frame(i64::MIN),
            (Some(one), Some(two)) => Self::Frame(one.min(two)),
            (Some(at), None) | (None, Some(at)) => Self::Frame(at),
            (None, None) => Self::Unknown,
        }
    }

    /// Returns whether it may be an address that comes from the tracked argument.
    pub(crate) fn may_be(self, tracked: Option<usize>) -> bool {
        match self {
            Self::Possible(argument) => Some(argument) == tracked,
            Self::Field(_) | Self::Derived(_) => self.derived().is_some_and(|own| Some(own.argument) == tracked),
            Self::Unknown | Self::Constant(_) | Self::Stack(_) | Self::Frame(_) | Self::Within(..) => false,
        }
    }

    /// Returns whether it is certainly an address that comes from the argument.
    pub(crate) fn is_from(self, argument: usize) -> bool {
        self.derived().is_some_and(|derived| derived.argument == argument)
    }

    /// The field of so many bytes that lies at this address.
    pub(crate) fn target(self, width: u8) -> Option<Field> {
        match self {
            Self::Field(field) => field.load(0, width),
            Self::Derived(derived) => derived.load(0, width),
            Self::Within(field, offset) => field.load(offset, width),
            Self::Unknown | Self::Constant(_) | Self::Stack(_) | Self::Frame(_) | Self::Possible(_) => None,
        }
    }

    /// The address on the stack that it is.
    pub(crate) const fn stack_address(self) -> Option<i64> {
        match self {
            Self::Stack(at) => Some(at),
            Self::Unknown
            | Self::Constant(_)
            | Self::Frame(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => None,
        }
    }

    /// Returns how many bytes behind what a field of an argument points to it points, and where that field is.
    pub(crate) fn distance_within(self, argument: usize) -> Option<(u16, i64)> {
        match self {
            Self::Within(field, distance) => Some((field.behind(argument)?.0, distance)),
            Self::Unknown
            | Self::Constant(_)
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Possible(_) => None,
        }
    }

    /// Returns how many bytes behind an argument it points, where that is known.
    pub(crate) fn distance_from(self, argument: usize) -> Option<i64> {
        self.derived().filter(|derived| derived.argument == argument)?.offset
    }

    /// The lowest address on the stack that it may be.
    pub(super) const fn lowest_on_stack(self) -> Option<i64> {
        match self {
            Self::Stack(at) | Self::Frame(at) => Some(at),
            Self::Unknown
            | Self::Constant(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => None,
        }
    }

    /// What it is to a function that is called with it.
    pub(crate) const fn in_callee(self) -> Self {
        match self {
            Self::Stack(_) | Self::Frame(_) => Self::Unknown,
            Self::Unknown
            | Self::Constant(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => self,
        }
    }

    /// The address so many bytes behind what a field points to, if this is one or lies there.
    const fn within(self, offset: i64) -> Self {
        match self {
            Self::Field(field) | Self::Within(field, _) if field.is_word() => Self::Within(field, offset),
            Self::Unknown
            | Self::Constant(_)
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => Self::Unknown,
        }
    }

    fn derived(self) -> Option<Derived> {
        match self {
            Self::Derived(derived) => Some(derived),
            Self::Field(field) => field.as_argument().map(|argument| Derived {
                argument,
                offset: Some(0),
            }),
            Self::Unknown
            | Self::Constant(_)
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Within(..)
            | Self::Possible(_) => None,
        }
    }

    /// The number that this is.
    pub(crate) const fn number(self) -> Option<u64> {
        match self {
            Self::Constant(number) => Some(number),
            Self::Unknown
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Field(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => None,
        }
    }

    /// The field or argument that this is.
    pub(crate) const fn field(self) -> Option<Field> {
        match self {
            Self::Field(field) => Some(field),
            Self::Unknown
            | Self::Constant(_)
            | Self::Stack(_)
            | Self::Frame(_)
            | Self::Derived(_)
            | Self::Within(..)
            | Self::Possible(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_two_loads_is_followed_and_no_longer_one() {
        let once = Field::argument(0).load(0x918, 8).unwrap();
        let twice = once.load(0x2f8, 8).unwrap();
        assert_eq!((once.one(), once.two()), (Some((0x918, 8)), None));
        assert_eq!((twice.one(), twice.two()), (None, Some(([0x918, 0x2f8], 8))));
        assert_eq!(twice.load(0, 8), None);
    }

    #[test]
    fn what_lies_within_what_a_field_points_to_is_found_from_its_beginning() {
        let pointer = Value::Field(Field::argument(2).load(8, 8).unwrap());
        let within = pointer.plus(0x58);
        assert_eq!(within.distance_within(2), Some((8, 0x58)));
        assert_eq!(within.distance_within(1), None);
        let field = within.plus(-8).target(8).unwrap();
        assert_eq!(field.behind_twice(2), Some(([8, 0x50], 8)));
        assert_eq!(pointer.truncated(4).plus(8), Value::Unknown);
    }

    #[test]
    fn the_largest_offset_is_the_last_before_the_one_that_means_unknown() {
        let argument = Field::argument(0);
        assert!(argument.load(0xfffe, 8).is_some());
        for refused in [0xffff, 0x1_0000, -1] {
            assert_eq!(argument.load(refused, 8), None, "{refused:#x}");
        }
    }

    #[test]
    fn half_a_pointer_points_nowhere() {
        let half = Value::Field(Field::argument(0)).truncated(4);
        assert_eq!(half.field().and_then(|field| field.load(8, 8)), None);
    }

    #[test]
    fn the_lower_bytes_of_a_number_are_kept() {
        assert_eq!(Value::Constant(u64::MAX).truncated(4), Value::Constant(0xffff_ffff));
        assert_eq!(Value::Constant(0x1ff).truncated(1), Value::Constant(0xff));
        assert_eq!(Value::Stack(8).truncated(4), Value::Unknown);
    }

    /// The argument that is tracked.
    const TRACKED: Option<usize> = Some(1);

    /// Values of every kind.
    fn samples() -> Vec<Value> {
        let argument = |number| Value::Field(Field::argument(number));
        let field = Field::argument(0).load(8, 8).unwrap();
        vec![
            Value::Unknown,
            Value::Constant(0),
            Value::Constant(7),
            Value::Stack(-8),
            Value::Stack(-64),
            Value::Frame(-16),
            Value::Frame(i64::MIN),
            argument(0),
            argument(1),
            argument(0).truncated(4),
            argument(1).truncated(1),
            argument(0).plus(8),
            argument(1).plus(8),
            argument(1).plus(16),
            argument(1).moved(Value::Unknown, TRACKED),
            Value::Field(field),
            Value::Field(field).plus(16),
            Value::Possible(1),
        ]
    }

    fn pairs() -> impl Iterator<Item = (Value, Value)> {
        samples()
            .into_iter()
            .flat_map(|one| samples().into_iter().map(move |two| (one, two)))
    }

    #[test]
    fn what_paths_bring_together_covers_each_of_them() {
        for (one, two) in pairs() {
            let both = one.join(two, TRACKED);
            assert_eq!(
                both.may_be(TRACKED),
                one.may_be(TRACKED) || two.may_be(TRACKED),
                "{one:?} {two:?}"
            );
            let lowest = one.lowest_on_stack().into_iter().chain(two.lowest_on_stack()).min();
            let is_covered = both.lowest_on_stack() <= lowest || both.may_be(TRACKED);
            assert!(is_covered, "{one:?} {two:?}: {both:?}");
            assert_eq!(both.join(two, TRACKED), both, "{one:?} {two:?}");
            assert_eq!(both.join(one, TRACKED), both, "{one:?} {two:?}");
        }
    }

    #[test]
    fn nothing_that_is_computed_loses_the_tracked_address() {
        for (one, two) in pairs() {
            let is_among = one.may_be(TRACKED) || two.may_be(TRACKED);
            for value in [Value::mixed([one, two], TRACKED), one.moved(two, TRACKED)] {
                assert_eq!(value.may_be(TRACKED), is_among, "{one:?} {two:?}");
            }
        }
    }

    #[test]
    fn an_address_is_certain_only_if_one_side_alone_is_one() {
        let pointer = Value::Field(Field::argument(1));
        assert!(pointer.moved(Value::Unknown, TRACKED).is_from(1));
        assert!(Value::Constant(4).moved(pointer, TRACKED).is_from(1));
        for other in [pointer, Value::Stack(0), Value::Possible(1)] {
            assert!(!pointer.moved(other, TRACKED).is_from(1), "{other:?}");
        }
        assert!(!pointer.join(Value::Constant(0), TRACKED).is_from(1));
        assert!(pointer.join(pointer.plus(8), TRACKED).is_from(1));
    }

    #[test]
    fn parts_of_one_argument_have_what_both_have() {
        let argument = Value::Field(Field::argument(0));
        assert_eq!(
            argument.truncated(4).join(argument.truncated(1), TRACKED),
            argument.truncated(1)
        );
        assert_eq!(argument.join(Value::Field(Field::argument(2)), TRACKED), Value::Unknown);
    }
}
