//! WhatsApp through Meta's Cloud API: free text while the reader's 24-hour window is open, a template that Meta has
//! approved outside it. Meta's answer means queued, not delivered; what became of a message comes later as webhooks,
//! matched by `biz_opaque_callback_data`. Facts and codes: the Graph API as of November 2026.

pub mod account;
pub mod errors;
pub mod inbound;
pub mod provider;
pub mod receipts;
pub mod render;
