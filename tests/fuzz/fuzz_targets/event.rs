//! Fuzzes `parsers::event` with any bytes.

#![no_main]

#[expect(dead_code, reason = "each fuzzer reads one of them")]
#[path = "../../src/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|body: &[u8]| parsers::event(body));
