//! What SQS takes in one call, as pure functions: at most ten messages and 1 MiB, of the characters that XML allows.

use carillon_pipeline::ports::Message;

/// SQS's bound of a batch.
const ENTRIES: usize = 10;

/// The messages in as few batches as their order allows. A message that is too large by itself is alone in its batch.
pub(super) fn batches(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.body.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < ENTRIES && bytes + size <= Message::MAX_BYTES => {
                bytes += size;
                batch.push(message);
            }
            _ => {
                bytes = size;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

/// The same JSON without the two characters that serde_json writes as they are and SQS refuses a whole message for.
/// Outside of strings JSON cannot contain them, so escaping them everywhere is right.
pub(super) fn legal(body: String) -> String {
    if body.contains(['\u{fffe}', '\u{ffff}']) {
        body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: &[usize]) -> Vec<Vec<usize>> {
        let message =
            |&size: &usize| Message { body: "x".repeat(size), group: "acme:normal".to_owned(), delay_s: 0 };
        let made = batches(bytes.iter().map(message).collect());
        made.iter().map(|batch| batch.iter().map(|m| m.body.len()).collect()).collect()
    }

    #[test]
    fn a_batch_ends_at_ten_messages() {
        let counts = |n: usize| sizes(&vec![1; n]).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!((counts(0), counts(10), counts(21)), (vec![], vec![10], vec![10, 10, 1]));
    }

    #[test]
    fn a_batch_ends_at_one_mebibyte() {
        let max = Message::MAX_BYTES;
        assert_eq!(sizes(&[max - 1, 1, 1]), [vec![max - 1, 1], vec![1]]);
        assert_eq!(sizes(&[1, max, max, 2]), [vec![1], vec![max], vec![max], vec![2]]);
    }

    #[test]
    fn a_character_that_sqs_refuses_is_escaped_and_means_the_same() {
        let value = serde_json::json!({ "text": "a\u{fffe}b\u{ffff}c\u{fffd}\u{7f}\u{1}" });
        let body = legal(value.to_string());
        assert!(!body.contains(['\u{fffe}', '\u{ffff}', '\u{1}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), value);
    }
}
