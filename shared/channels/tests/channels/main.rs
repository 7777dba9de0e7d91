//! The channels seen from outside: the packs of this repository rendered with their own samples, and the providers
//! against stand-ins that answer, refuse, hang up and say nothing.

#![cfg(test)]

mod email_provider;
mod packs;
mod receipts;
mod rendering;
mod stand_in;
mod whatsapp_provider;
