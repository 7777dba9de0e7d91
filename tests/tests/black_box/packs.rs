//! A pack that no line of Rust knows plays like the others.

use std::path::Path;
use std::process::Command;

#[test]
fn a_fifth_pack_needs_no_rust() {
    let clinic = Path::new(env!("CARGO_MANIFEST_DIR")).join("packs/clinic");
    let ran = Command::new(carillon_tests::load::carillon())
        .args(["demo", "--json", "--pack"])
        .arg(&clinic)
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    for words in ["appointment.moved", "no_condition", "Votre rendez-vous"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
