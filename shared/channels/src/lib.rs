//! The three channels: how a template becomes a message, how a message becomes a provider call, and what the
//! provider's answers and receipts mean. Reads the contracts of `carillon_pipeline::ports` and implements
//! `Renderer` ([`render`]) and `Provider` ([`whatsapp`], [`email`]); deliver and record-receipt come next.
//!
//! Every channel has the same files: `render.rs` (its texts and their limits), and, where it has a provider,
//! `provider.rs` (the call), `errors.rs` (what each code means, as dated data) and `receipts.rs` (what it says later).

mod detail;
pub mod email;
pub mod in_app;
pub mod receipt;
pub mod render;
pub mod whatsapp;

pub use email::provider::SesProvider;
pub use receipt::{ParsedReceipt, Receipts};
pub use render::MinijinjaRenderer;
pub use whatsapp::provider::WhatsappProvider;
