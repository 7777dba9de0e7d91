//! Chance from a seed: the same seed gives the same numbers on every machine, which is what makes a run replayable.

/// Numbers from a seed (`SplitMix64`, by Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound; 0 for the bound 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // The bias of a remainder is below one in a billion for bounds as small as these.
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % bound).unwrap_or(0)
    }

    /// A number from here to there, both included.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to.saturating_sub(from)).unwrap_or(0).saturating_add(1);
        from.saturating_add(i64::try_from(self.bits() % span).unwrap_or(0))
    }

    /// Whether something happens that happens so often in 10,000 times.
    pub(super) fn happens(&mut self, in_ten_thousand: u32) -> bool {
        in_ten_thousand > 0 && self.bits() % 10_000 < u64::from(in_ten_thousand)
    }

    /// One of these; none of nothing.
    pub(super) fn one_of<'a, T>(&mut self, these: &'a [T]) -> Option<&'a T> {
        these.get(self.below(these.len()))
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(8) {
            let bytes = self.bits().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
    }
}
