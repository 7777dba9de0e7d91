//! What can go wrong, as data: each fault with how often it strikes at most. A seed draws which of them it has and how
//! often, so that some runs have one fault only and others have all of them.

use super::chance::Chance;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $most:literal, $words:literal;)+) => {
        /// Something that goes wrong in a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[$doc])* $name),+ }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// How often it strikes at most, in 10,000 chances.
            fn most(self) -> u32 {
                match self { $(Self::$name => $most),+ }
            }

            /// What happened, in the story.
            pub(super) fn words(self) -> &'static str {
                match self { $(Self::$name => $words),+ }
            }
        }
    };
}

faults! {
    /// The table refuses, and nothing was written.
    TableRefuses = 400, "the table refuses it";
    /// The table wrote and the answer is lost.
    WriteAnswerLost = 300, "it is written and the answer is lost";
    /// The client library repeats a write whose answer it lost: a condition can fail against the write itself.
    WriteRepeated = 300, "the client library repeats the write";
    /// A read that may be a moment old is.
    StaleRead = 1_500, "the read is a moment old";
    /// The function is killed before it asks a port.
    KilledBefore = 80, "the function is killed before it";
    /// The function is killed after a port did what was asked.
    KilledAfter = 80, "the function is killed after it";
    /// Everything in one process is killed.
    ProcessKilled = 5_000, "and everything in its process with it";
    /// An answer takes seconds.
    Slow = 300, "it takes seconds";
    /// A function is frozen for longer than any lease.
    Stall = 40, "the function is frozen for longer than a lease";
    /// A queue takes nothing.
    QueueRefuses = 500, "the queue refuses";
    /// A queue takes some messages of a batch.
    QueueTakesSome = 500, "the queue takes only a part";
    /// A queue took everything and the answer is lost.
    QueueAnswerLost = 300, "the queue takes it and the answer is lost";
    /// A message is in its queue twice.
    QueuedTwice = 500, "the queue holds it twice";
    /// A message is long under way.
    QueuedLate = 500, "the queue holds it back";
    /// A message becomes visible while its first worker still runs.
    VisibleEarly = 400, "it becomes visible again at once";
    /// There is no connection to the provider.
    Unreachable = 500, "there is no connection to the provider";
    /// The request is lost on its way.
    RequestLost = 500, "the request is lost before the provider has it";
    /// The provider accepted and its answer is lost.
    AnswerLost = 500, "the provider's answer is lost";
    /// The provider refuses, for any of its reasons.
    Refused = 1_500, "the provider refuses";
    /// A receipt comes twice.
    ReceiptTwice = 1_500, "its receipt comes twice";
    /// A receipt comes up to a week late.
    ReceiptLate = 800, "its receipt is late";
    /// A receipt never comes.
    ReceiptNever = 1_500, "its receipt never comes";
    /// The provider takes its word back.
    ReceiptOfFailure = 800, "the message fails after it was accepted";
    /// A sweep does not run.
    SweepSkipped = 3_000, "the sweep does not run";
    /// A sweep runs twice at the same time.
    SweepTwice = 2_000, "the sweep runs twice";
}

impl Fault {
    /// Whether what a function was told, or did, can be lost by it.
    pub(super) fn loses_work(self) -> bool {
        matches!(
            self,
            Self::TableRefuses
                | Self::WriteAnswerLost
                | Self::KilledBefore
                | Self::KilledAfter
                | Self::ProcessKilled
                | Self::Stall
        )
    }
}

/// How often each fault strikes in one run, in 10,000 chances.
#[derive(Debug, Clone)]
pub(super) struct Rates(Vec<u32>);

impl Rates {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        // One seed in sixteen has no fault: what it breaks is broken for everybody.
        let none = chance.below(16) == 0;
        // Every other one has a fault that strikes again and again, as a provider that is down does.
        let often = if chance.below(2) == 0 { chance.one_of(Fault::ALL).copied() } else { None };
        let draw = |fault: &Fault| {
            let (drawn, quiet) = (chance.between(1, i64::from(fault.most())), chance.below(3) == 0);
            let rate = u32::try_from(drawn).unwrap_or(0);
            match (none, often == Some(*fault), quiet) {
                (true, ..) | (false, false, true) => 0,
                (false, true, _) => (fault.most() * 6).min(6_000),
                (false, false, false) => rate,
            }
        };
        Self(Fault::ALL.iter().map(draw).collect())
    }

    pub(super) fn of(&self, fault: Fault) -> u32 {
        self.0.get(fault as usize).copied().unwrap_or(0)
    }
}
