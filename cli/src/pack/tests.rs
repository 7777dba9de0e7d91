//! Packs that are right, and every way in which one can be wrong: each fault names its file, its line, and what is wrong.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use carillon_domain::FieldError;

use super::{Part, chosen, load};

/// A small pack in a folder of its own, gone when the test is over.
struct Written {
    root: PathBuf,
}

const FILES: [(&str, &str); 6] = [
    ("pack.toml", "name = \"tiny\"\ntitle = \"Tiny\"\n\n[[groups]]\nname = \"Staff\"\n"),
    (
        "routes.toml",
        "[\"user.joined\"]\naudience = { groups = [\"Staff\"] }\ntemplate = \"welcome\"\nchannels = [\"email\", \"in_app\"]\n",
    ),
    (
        "templates/welcome/en.toml",
        "[email]\nsubject = \"Welcome\"\n\n[in_app]\ntitle = \"Welcome\"\nbody = \"{{ data.name }}\"\n",
    ),
    ("templates/welcome/en.html", "<p>{{ data.name }}</p>\n"),
    (
        "samples/recipients.toml",
        "[[recipients]]\nid = \"ada\"\nname = \"Ada\"\nphone = \"+12025550101\"\ngroups = [\"Staff\"]\n",
    ),
    (
        "samples/01-joined.toml",
        "[event]\ntype = \"user.joined\"\n\n[[expect]]\nrecipient = \"ada\"\nchannel = \"in_app\"\nstate = \"delivered\"\n",
    ),
];

impl Written {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("carillon-pack-{}-{number}", std::process::id()));
        let written = Self { root };
        for (file, text) in FILES {
            written.file(file, text);
        }
        written
    }

    fn folder(&self) -> PathBuf {
        self.root.join("tiny")
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = self.folder().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// What is said about it, without the way to its folder.
    fn faults(&self) -> Vec<String> {
        let faults = load(&self.folder()).err().map(|faults| faults.0).unwrap_or_default();
        let prefix = format!("{}/", self.folder().display());
        faults.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

#[test]
fn every_pack_of_the_source_tree_loads() {
    for pack in chosen(&[]).unwrap() {
        assert!(!pack.routes.is_empty() && !pack.samples.is_empty(), "{} is empty", pack.name);
    }
}

#[test]
fn long_texts_stand_in_files_beside_the_locale() {
    let written = Written::new();
    written.file("templates/welcome/en.txt", "Hello {{ data.name }}");
    let pack = load(&written.folder()).unwrap();
    let email = pack.templates.values().next().unwrap().locales["en"].email.as_ref().unwrap();
    assert_eq!((email.html.as_str(), email.text.as_deref()), (FILES[3].1, Some("Hello {{ data.name }}")));
}

/// Each case: the file that is written over a good pack, its text, and how one of the faults begins.
fn each_is_told<const N: usize>(cases: [(&str, String, &str); N]) {
    for (file, text, said) in cases {
        let written = Written::new();
        assert_eq!(written.faults(), Vec::<String>::new());
        written.file(file, &text);
        let faults = written.faults();
        assert!(faults.iter().any(|fault| fault.starts_with(said)), "{said:?} is not in {faults:#?}");
    }
}

#[test]
fn a_fault_of_the_manifest_or_the_routes_names_its_file_its_line_and_what_is_wrong() {
    let route = FILES[1].1;
    each_is_told([
        ("pack.toml", "name = \"tiny\"\ntitle = \n".to_owned(), "pack.toml:2: "),
        (
            "pack.toml",
            "name = \"tiny\"\ntitle = \"T\"\n\ncolour = 1\n".to_owned(),
            "pack.toml:4: colour: unknown field `colour`",
        ),
        ("pack.toml", "name = \"tiny\"\n".to_owned(), "pack.toml: title: missing field `title`"),
        (
            "pack.toml",
            FILES[0].1.replace("tiny", "other"),
            "pack.toml:1: name: is \"other\" and the folder's name is \"tiny\"",
        ),
        (
            "pack.toml",
            FILES[0].1.replace("Staff", "Crew"),
            "routes.toml:2: user.joined/audience/groups/0: pack.toml has no group \"Staff\"",
        ),
        ("routes.toml", route.replace("email", "sms"), "routes.toml:4: user.joined/channels: "),
        (
            "routes.toml",
            route.replace("template", "tempalte"),
            "routes.toml:1: user.joined/template: missing field `template`",
        ),
        (
            "routes.toml",
            route.replace("\"welcome\"", "\"farewell\""),
            "routes.toml:3: user.joined/template: there is no folder templates/farewell",
        ),
        (
            "routes.toml",
            route.replace("user.joined", "user joined"),
            "routes.toml:1: user joined: the event type must be",
        ),
        (
            "routes.toml",
            route.replace("email", "whatsapp"),
            "routes.toml:4: user.joined/channels: templates/welcome/en.toml has no [whatsapp]",
        ),
        (
            "routes.toml",
            format!("{route}expires_after_s = 0\n"),
            "routes.toml:5: user.joined/expires_after_s: ",
        ),
    ]);
}

#[test]
fn a_fault_of_a_template_or_a_sample_names_its_file_its_line_and_what_is_wrong() {
    let recipient = FILES[4].1;
    each_is_told([
        (
            "templates/welcome/en.toml",
            "[email]\nsubjekt = \"W\"\n".to_owned(),
            "templates/welcome/en.toml:1: email/subject: missing field",
        ),
        (
            "templates/welcome/en.toml",
            format!("{}\n[whatsapp]\ntext = \"hi\"\n", FILES[2].1),
            "templates/welcome/en.toml:8: whatsapp/template: is missing",
        ),
        (
            "templates/welcome/en.toml",
            "[in_app]\ntitle = \"W\"\nbody = \"b\"\n".to_owned(),
            "templates/welcome/en.html: there is no [email]",
        ),
        (
            "templates/welcome/en.toml",
            format!("{}\n[sms]\n", FILES[2].1),
            "templates/welcome/en.toml:8: sms: unknown field",
        ),
        ("templates/welcome/en.htm", String::new(), "templates/welcome/en.htm: is not part of a template"),
        ("templates/welcome/fr.html", String::new(), "templates/welcome/fr.html: fr.toml is missing"),
        (
            "templates/farewell/fr.toml",
            "[in_app]\ntitle = \"A\"\nbody = \"b\"\n".to_owned(),
            "templates/farewell: has no en.toml",
        ),
        (
            "templates/farewell/en.toml",
            "[email]\nsubject = \"A\"\n".to_owned(),
            "templates/farewell/en.toml:1: email: there is no html; write it in en.html",
        ),
        (
            "samples/recipients.toml",
            recipient.replace("+12025550101", "12"),
            "samples/recipients.toml:4: recipients/0/phone: ",
        ),
        (
            "samples/recipients.toml",
            recipient.replace("Staff", "Crew"),
            "samples/recipients.toml:5: recipients/0/groups/0: pack.toml has no group \"Crew\"",
        ),
        (
            "samples/recipients.toml",
            format!("{recipient}\n{}", recipient.replace("ada", "bo")),
            "samples/recipients.toml:10: recipients/1/phone: is the number of \"ada\"",
        ),
        (
            "samples/recipients.toml",
            recipient.replace("\"ada\"", "\"a#a\""),
            "samples/recipients.toml:2: recipients/0/id: ",
        ),
        (
            "samples/01-joined.toml",
            FILES[5].1.replace("\"ada\"", "\"bo\""),
            "samples/01-joined.toml:5: expect/0/recipient: recipients.toml has no \"bo\"",
        ),
        (
            "samples/01-joined.toml",
            FILES[5].1.replace("user.joined", "user.left"),
            "samples/01-joined.toml:2: event/type: routes.toml has no route",
        ),
        (
            "samples/01-joined.toml",
            FILES[5].1.replace("delivered", "arrived"),
            "samples/01-joined.toml:7: expect/0/state: unknown variant",
        ),
        (
            "samples/01-joined.toml",
            "[event]\ntype = \"user.joined\"\ndata = 3\n".to_owned(),
            "samples/01-joined.toml:3: event/data: ",
        ),
        ("samples/02.yaml", String::new(), "samples/02.yaml: is not part of a pack"),
        ("routes.tml", String::new(), "routes.tml: is not part of a pack"),
    ]);
}

#[test]
fn one_run_shows_the_faults_of_every_file() {
    let written = Written::new();
    written.file("pack.toml", "name = 3\n");
    written.file("routes.toml", "x = 1\n");
    written.file("templates/welcome/en.toml", "[[");
    written.file("samples/01-joined.toml", [0xff, 0xfe]);
    let faults = written.faults();
    for file in [
        "pack.toml:1",
        "routes.toml:1",
        "templates/welcome/en.toml:1",
        "samples/01-joined.toml: is not UTF-8",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(file)), "{file} is not in {faults:#?}");
    }
}

#[test]
fn what_the_api_finds_is_told_by_the_file_it_came_from() {
    let written = Written::new();
    let pack = load(&written.folder()).unwrap();
    let name = pack.templates.keys().next().unwrap();
    let prefix = format!("{}/", written.folder().display());
    for (part, pointer, said) in [
        (Part::Template(name), "/locales/en/email/html", "templates/welcome/en.html: bad"),
        (Part::Template(name), "/locales/en/in_app/body", "templates/welcome/en.toml:6: in_app/body: bad"),
        (Part::Template(name), "/locales", "templates/welcome: bad"),
        (
            Part::Route(pack.routes.keys().next().unwrap()),
            "/channels",
            "routes.toml:4: user.joined/channels: bad",
        ),
        (Part::Group(0), "/description", "pack.toml:4: groups/0/description: bad"),
        (Part::Recipient(0), "/phone", "samples/recipients.toml:4: recipients/0/phone: bad"),
    ] {
        let fault = pack.fault(part, FieldError::new(pointer, "bad")).to_string();
        assert_eq!(fault.replace(&prefix, ""), said);
    }
}

#[test]
fn a_folder_that_is_no_pack_is_refused() {
    assert!(load(Path::new("no-such-folder")).is_err());
    let written = Written::new();
    std::fs::remove_file(written.folder().join("pack.toml")).unwrap();
    assert_eq!(written.faults(), ["pack.toml: is not there"]);
}
