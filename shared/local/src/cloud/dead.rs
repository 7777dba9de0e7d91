//! The dead-letter queues of the cloud: each is worked by dead-letter, as template.yaml maps them.

use std::convert::Infallible;
use std::sync::Arc;

use carillon_pipeline::Pipeline;
use carillon_pipeline::ports::Queue;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::queues::{LocalQueues, Source, poll};

/// Messages that are recorded at a time, as template.yaml says.
const BATCH: usize = 10;

/// Runs dead-letter on every dead-letter queue.
pub(super) fn consume(
    tasks: &mut JoinSet<()>,
    pipeline: &Arc<Pipeline>,
    queues: &Arc<LocalQueues>,
    stopping: &watch::Receiver<bool>,
) {
    let sources = Queue::ALL.map(Source::dead_letters_of);
    let known = Arc::new(sources.iter().map(|source| source.arn()).zip(Queue::ALL).collect());
    for source in sources {
        let (pipeline, known) = (Arc::clone(pipeline), Arc::clone(&known));
        tasks.spawn(poll(Arc::clone(queues), source, BATCH, 1, stopping.clone(), move |event| {
            let (pipeline, known) = (Arc::clone(&pipeline), Arc::clone(&known));
            async move { Ok::<_, Infallible>(dead_letter::handle(&pipeline, &known, event).await) }
        }));
    }
}
