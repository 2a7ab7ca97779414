//! The open streams, in the order of their identifiers.
//!
//! Streams begin in that order and end in nearly the same, and an event looks its stream up several times. So a queue, with
//! the place where a stream was found last, costs less than a tree. The streams themselves are not moved.

use std::collections::VecDeque;

use super::stream::Stream;

/// The open streams.
#[derive(Debug, Default)]
pub(super) struct OpenStreams {
    streams: VecDeque<(u32, Box<Stream>)>,
    /// The place where a stream was found or inserted last.
    last: usize,
}

impl OpenStreams {
    /// Finds a stream.
    #[inline]
    pub(super) fn find(&mut self, id: u32) -> Option<&mut Stream> {
        let is_last = self.streams.get(self.last).is_some_and(|(last, _)| *last == id);
        if !is_last {
            self.last = self.place(id).ok()?;
        }
        self.streams.get_mut(self.last).map(|(_, stream)| &mut **stream)
    }

    /// Returns whether a stream is open.
    pub(super) fn contains(&self, id: u32) -> bool {
        self.place(id).is_ok()
    }

    /// Adds a stream, in place of the one with the same identifier.
    pub(super) fn insert(&mut self, id: u32, stream: Stream) {
        let stream = Box::new(stream);
        match self.place(id) {
            Ok(place) => {
                if let Some((_, known)) = self.streams.get_mut(place) {
                    *known = stream;
                }
            }
            Err(place) => {
                self.streams.insert(place, (id, stream));
                self.last = place;
            }
        }
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let place = self.place(id).ok()?;
        self.streams.remove(place).map(|(_, stream)| *stream)
    }

    /// Returns the number of streams.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Iterates over the streams in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().map(|(_, stream)| &**stream)
    }

    /// Iterates over the streams with their identifiers, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Stream)> {
        self.streams.iter_mut().map(|(id, stream)| (*id, &mut **stream))
    }

    /// Removes all streams, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Stream> + use<> {
        std::mem::take(&mut self.streams).into_iter().map(|(_, stream)| *stream)
    }

    /// Returns the memory in use besides the streams, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.streams.capacity() * size_of::<(u32, Box<Stream>)>()
    }

    /// Returns the place of a stream, or the place where it is to be inserted.
    fn place(&self, id: u32) -> Result<usize, usize> {
        // New streams come last, and the oldest ones end first.
        match (self.streams.front(), self.streams.back()) {
            (_, Some((last, _))) if *last < id => Err(self.streams.len()),
            (Some((first, _)), _) if *first == id => Ok(0),
            (_, _) => self.streams.binary_search_by_key(&id, |(id, _)| *id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::{prop_assert_eq, proptest};

    use super::*;
    use crate::chunk::Mark;
    use crate::context::Context;
    use crate::{Protocol, Settings, Timestamp};

    fn stream(context: &mut Context) -> Stream {
        let mark = Mark {
            position: 0,
            at: Timestamp(0),
            origin: 0,
        };
        Stream::new(context.begin_exchange(mark, Protocol::Http2))
    }

    proptest! {
        #[test]
        fn open_streams_are_an_ordered_map(steps in vec((0_u32..8, 0..3), 0..64)) {
            let mut context = Context::new(Settings::default());
            let (mut open, mut map) = (OpenStreams::default(), BTreeMap::new());
            for (number, (id, step)) in (0..).zip(steps) {
                match step {
                    0 => {
                        let mut stream = stream(&mut context);
                        stream.counted_bytes = number;
                        open.insert(id, stream);
                        map.insert(id, number);
                    }
                    1 => prop_assert_eq!(open.remove(id).map(|stream| stream.counted_bytes), map.remove(&id)),
                    _ => prop_assert_eq!(open.find(id).map(|stream| stream.counted_bytes), map.get(&id).copied()),
                }
                prop_assert_eq!((open.contains(id), open.len()), (map.contains_key(&id), map.len()));
                let all = open.iter_mut().map(|(id, stream)| (id, stream.counted_bytes));
                prop_assert_eq!(all.collect::<Vec<_>>(), map.clone().into_iter().collect::<Vec<_>>());
            }
            prop_assert_eq!(open.take_all().count(), map.len());
            prop_assert_eq!(open.len(), 0);
        }
    }
}
