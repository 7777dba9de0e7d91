//! The lines of one import request: as many as a call takes, with their numbers in the file.

/// A call's body is refused above 1 MiB; every request stays below.
const BYTES: usize = 1_048_576;

/// So many lines are done well within the time of a call.
const LINES: usize = 1_000;

/// Lines to be posted together.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The body, each line with its end.
    pub body: Vec<u8>,
    /// Which line of the file each line of the body is, from 1.
    pub numbers: Vec<usize>,
}

impl Request {
    /// Whether a line of the file goes into a request of its own at all; the reason if not.
    pub(super) fn refusal(line: &[u8]) -> Option<&'static str> {
        if line.len() + 1 >= BYTES {
            return Some("the line is larger than 1 MiB");
        }
        // The API reads the whole body as text: one such line would make it refuse all the others.
        std::str::from_utf8(line).is_err().then_some("the line is not UTF-8")
    }

    /// Whether there is room for one more line.
    pub(super) fn has_room(&self, line: &[u8]) -> bool {
        self.numbers.len() < LINES && self.body.len() + line.len() + 1 < BYTES
    }

    /// Adds a line.
    pub(super) fn push(&mut self, number: usize, line: &[u8]) {
        self.body.extend_from_slice(line);
        self.body.push(b'\n');
        self.numbers.push(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &[u8]) -> Request {
        let mut request = Request::default();
        while request.has_room(line) {
            request.push(request.numbers.len() + 1, line);
        }
        request
    }

    #[test]
    fn a_request_has_at_most_a_thousand_lines_and_stays_below_a_mebibyte() {
        assert_eq!(filled(b"{}").numbers.len(), 1_000);
        let large = filled(&vec![b'x'; 300_000]);
        assert_eq!(large.numbers, [1, 2, 3]);
        assert!(large.body.len() < 1_048_576);
    }

    #[test]
    fn a_line_that_fits_in_no_request_or_is_no_text_is_refused_alone() {
        assert!(Request::refusal(&vec![b'x'; 1_048_576]).is_some());
        assert!(Request::refusal(b"\xff{}").is_some());
        let largest = vec![b'x'; 1_048_574];
        assert!(Request::refusal(&largest).is_none() && Request::default().has_room(&largest));
    }
}
