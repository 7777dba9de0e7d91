//! Broken builds: each switches one guarantee off, in the ports below the pipeline, so that the code that is deployed
//! carries no switch for it. The simulation has to find every one of them.

/// A guarantee that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// The table takes a write of a delivery whatever was written since.
    RevisionsIgnored,
    /// The table takes a new item although there is one.
    AbsenceIgnored,
    /// The claim of a worker is answered and not written.
    ClaimNotWritten,
    /// What came of a call is answered and not written.
    ResultNotWritten,
    /// An event is answered and not written.
    EventNotWritten,
    /// Leases are over as soon as they are taken.
    LeasesIgnored,
    /// A worker's clock is days behind: nothing expires.
    ExpiryIgnored,
    /// The provider's client repeats a call whose answer it lost.
    ProviderRepeats,
    /// A message is deleted when it is handed out.
    DeletedBeforeWork,
    /// Receipts carry somebody else's token.
    ReceiptsUnmatched,
    /// A repeated call is not counted.
    ResendsNotCounted,
    /// What is to be parked is sent again.
    ParkingIgnored,
    /// Tries are not counted.
    TriesNotCounted,
    /// What recipients want is not read.
    OptOutsIgnored,
    /// Nothing looks after what is due.
    SweepsNever,
    /// An end is taken back.
    EndsTakenBack,
    /// What operators have stopped is not read.
    SwitchesIgnored,
    /// That an event was taken back is answered and not written.
    CancelNotWritten,
    /// The window in which a reader gets free text lasts for days.
    WindowsStayOpen,
}

impl Mutation {
    /// Every mutation.
    pub const ALL: [Self; 19] = [
        Self::RevisionsIgnored,
        Self::AbsenceIgnored,
        Self::ClaimNotWritten,
        Self::ResultNotWritten,
        Self::EventNotWritten,
        Self::LeasesIgnored,
        Self::ExpiryIgnored,
        Self::ProviderRepeats,
        Self::DeletedBeforeWork,
        Self::ReceiptsUnmatched,
        Self::ResendsNotCounted,
        Self::ParkingIgnored,
        Self::TriesNotCounted,
        Self::OptOutsIgnored,
        Self::SweepsNever,
        Self::EndsTakenBack,
        Self::SwitchesIgnored,
        Self::CancelNotWritten,
        Self::WindowsStayOpen,
    ];
}
