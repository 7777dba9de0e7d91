//! What is to go wrong at the fake providers, on demand: connections that cannot be made or break, refusals, slow answers,
//! and receipts that are missing, early, doubled or out of order. [`endpoint`] sets it, [`line`] breaks connections, and
//! the fakes ask here before they answer.

pub(crate) mod endpoint;
pub(crate) mod line;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use self::line::Cut;

/// A share of the calls, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64")]
pub struct Rate(f64);

impl TryFrom<f64> for Rate {
    type Error = &'static str;

    fn try_from(rate: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&rate) { Ok(Self(rate)) } else { Err("a rate is from 0 to 1") }
    }
}

impl Rate {
    fn always() -> Self {
        Self(1.0)
    }
}

/// What goes wrong at one provider.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Faults {
    /// It cannot be reached: no connection, and those that were there break.
    pub down: bool,
    /// The connection breaks before the message is accepted.
    pub lose_request: Rate,
    /// The connection breaks after the message was accepted.
    pub lose_answer: Rate,
    /// It answers with an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<Refuse>,
    /// It takes so much longer before it accepts or refuses, on the machine's clock: the callers' time-outs are on it too.
    pub latency_ms: u64,
    /// What it says later.
    pub receipts: ReceiptMode,
}

/// An error that a provider answers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Refuse {
    /// Meta's code, or the name of SES's error.
    pub code: Value,
    /// For how many of the calls.
    #[serde(default = "Rate::always")]
    pub rate: Rate,
}

/// How receipts come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptMode {
    /// A moment later, in order.
    #[default]
    Normal,
    /// Never.
    None,
    /// Before the answer to the call that they are about.
    Early,
    /// Each twice.
    Double,
    /// The last one first.
    Reorder,
}

/// What a provider does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    lose_request: bool,
    refuse: bool,
    lose_answer: bool,
}

/// One provider's faults, as its fake and its connections see them.
pub struct Switch {
    faults: watch::Sender<Arc<Faults>>,
    dice: Mutex<u64>,
    /// Connections that are open.
    open: AtomicUsize,
    listening: watch::Sender<bool>,
}

impl Default for Switch {
    fn default() -> Self {
        let (faults, listening) = (watch::Sender::default(), watch::Sender::new(false));
        Self { faults, dice: Mutex::default(), open: AtomicUsize::new(0), listening }
    }
}

impl Switch {
    /// What goes wrong now.
    #[must_use]
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.borrow())
    }

    /// Replaces what goes wrong. When this returns, a provider that is down has no connection left, and one that is up
    /// takes new ones.
    async fn set(&self, faults: Faults, seed: u64) {
        let down = faults.down;
        *self.dice.lock().unwrap_or_else(PoisonError::into_inner) = seed;
        self.faults.send_replace(Arc::new(faults));
        let mut listening = self.listening.subscribe();
        let settled = async {
            // An error means that the switch is gone, and it is not: this is it.
            if listening.wait_for(|listens| *listens != down).await.is_err() {
                return;
            }
            while down && self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(2), settled).await.is_err() {
            tracing::warn!(down, "a fake provider's connections did not follow in time");
        }
    }

    /// Throws the dice for a call: always three, so that one fault's rate does not change another's throws.
    fn fate(&self, faults: &Faults) -> Fate {
        let mut state = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hit = |rate: Rate| part(&mut state) < rate.0;
        let refused = faults.refuse.as_ref().map_or(Rate::default(), |refuse| refuse.rate);
        Fate {
            lose_request: hit(faults.lose_request),
            refuse: hit(refused),
            lose_answer: hit(faults.lose_answer),
        }
    }
}

/// The next number from 0 (inclusive) to 1 (exclusive): SplitMix64 (Steele, Lea and Flood, 2014), the top 53 bits.
fn part(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // Both halves are exact in an f64.
    let high = u32::try_from(z >> 43).unwrap_or(u32::MAX);
    let low = u32::try_from((z >> 11) & 0xffff_ffff).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 9_007_199_254_740_992.0
}

/// How a provider refuses a call with a code.
pub(crate) type Refusing = fn(&Value) -> Response;

/// A provider's switch, and how it refuses.
#[derive(Clone)]
pub(crate) struct Troubles {
    pub(crate) switch: Arc<Switch>,
    pub(crate) refusing: Refusing,
}

impl Troubles {
    /// The fake's calls, with the trouble before them.
    pub(crate) fn around(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, trouble))
    }
}

/// What the switch says happens to each call that sends something.
async fn trouble(
    State(troubles): State<Troubles>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let faults = troubles.switch.faults();
    let fate = troubles.switch.fate(&faults);
    tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    if fate.lose_request {
        return cut.now();
    }
    if let (true, Some(refuse)) = (fate.refuse, &faults.refuse) {
        return (troubles.refusing)(&refuse.code);
    }
    let answer = next.run(request).await;
    if fate.lose_answer && answer.status().is_success() { cut.now() } else { answer }
}

impl Cut {
    /// Breaks the connection; the answer that HTTP asks for never leaves.
    fn now(&self) -> Response {
        self.make();
        ().into_response()
    }
}
