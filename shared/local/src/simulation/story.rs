//! What happened in a run: a fingerprint of every step, and, when a run is to be read, numbered lines in plain words.

use carillon_domain::Timestamp;

/// Of one run.
#[derive(Debug)]
pub(super) struct Story {
    fingerprint: u64,
    steps: u64,
    lines: Option<Vec<String>>,
}

impl Story {
    pub(super) fn begin(told: bool) -> Self {
        Self { fingerprint: 0xcbf2_9ce4_8422_2325, steps: 0, lines: told.then(Vec::new) }
    }

    /// Takes something into the fingerprint (FNV-1a).
    pub(super) fn mark(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    /// A line, which is only made when somebody reads it.
    pub(super) fn tell(&mut self, now_ms: i64, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let at = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let number = lines.len() + 1;
        lines.push(format!("{number:>4}  {}  {}", at.strftime("%a %H:%M:%S%.3f"), line()));
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
