//! Server-sent events in bounded memory: of each its data, and whether it is called an error.

use std::mem;

/// A longer line or event is no piece of an answer, which is 4 MiB at most; servers send whole ones, and escape them.
pub(super) const LONGEST: usize = 8 * 1024 * 1024;

/// A line or an event was longer than 8 MiB.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) data: Vec<u8>,
    /// `event: error`.
    pub(super) is_error: bool,
}

/// What has been read of an event.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    is_error: bool,
    after_return: bool,
}

impl Events {
    /// Takes bytes, and gives back the events that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut complete = Vec::new();
        for &byte in bytes {
            let second_half = mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => complete.extend(self.end_line()?),
                _ if self.line.len() == LONGEST => return Err(TooLong),
                byte => self.line.push(byte),
            }
        }
        Ok(complete)
    }

    /// The event that the stream ended in; servers leave out the empty line after their last.
    pub(super) fn finish(&mut self) -> Result<Option<Event>, TooLong> {
        let complete = self.end_line()?;
        Ok(complete.or_else(|| self.end_event()))
    }

    fn end_event(&mut self) -> Option<Event> {
        let is_error = mem::take(&mut self.is_error);
        self.data.take().map(|data| Event { data, is_error })
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let line = mem::take(&mut self.line);
        if line.is_empty() {
            return Ok(self.end_event());
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            self.is_error = name.trim_ascii() == b"error";
        }
        let Some(value) = line.strip_prefix(b"data:") else { return Ok(None) };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) if data.len() + 1 + value.len() > LONGEST => return Err(TooLong),
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(events.push(piece).unwrap());
        }
        all.extend(events.finish().unwrap());
        all.into_iter().map(|event| String::from_utf8(event.data).unwrap()).collect()
    }

    #[test]
    fn gives_the_data_of_each_event() {
        assert_eq!(read(&[b"data: a\n\ndata:b\r\n\r\ndata: c\r\rdata: d"]), ["a", "b", "c", "d"]);
        assert_eq!(read(&[b": ping\n\nevent: x\nid: 1\ndata: a\ndata:  b\n\n"]), ["a\n b"]);
        assert_eq!(read(&[b"\n\n: \n\ndatum: a\n\n"]), Vec::<String>::new());
    }

    #[test]
    fn tells_an_event_that_is_an_error() {
        let all =
            Events::default().push(b"event: error\ndata: a\n\nevent: x\ndata: b\n\ndata: c\n\n").unwrap();
        assert_eq!(all.iter().map(|event| event.is_error).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn refuses_what_has_no_end() {
        let mut events = Events::default();
        assert!(events.push(&vec![b'x'; LONGEST]).is_ok());
        assert_eq!(events.push(b"x"), Err(TooLong));
        let mut events = Events::default();
        let many = "data: 0123456789\n".repeat(LONGEST / 10);
        assert_eq!(events.push(many.as_bytes()), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_reads_fall_does_not_matter(
            text in "(data: ?[a-c]{0,3}|: x|)(\n|\r|\r\n)".prop_flat_map(|line| prop::collection::vec(Just(line), 1..9)),
            at in 0usize..40,
        ) {
            let text = text.concat();
            let (left, right) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(read(&[left, right]), read(&[text.as_bytes()]));
        }
    }
}
