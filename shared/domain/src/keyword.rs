//! The words by which a person who writes to a number stops its messages, or wants them again. Read by record-inbound.

/// What a word asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages on this channel.
    Stop,
    /// Messages again.
    Start,
}

/// Whole messages, in capitals; in the languages of people who are written to. A sentence with one of these in it is no
/// keyword: who writes "please don't stop" must not be taken off.
const WORDS: &[(Keyword, &[&str])] = &[
    (
        Keyword::Stop,
        &[
            "STOP",
            "STOP ALL",
            "STOPALL",
            "UNSUBSCRIBE",
            "OPT OUT",
            "ARRET",
            "ARRÊT",
            "ARRÊTER",
            "ARRETER",
            "DÉSABONNER",
            "DESABONNER",
            "STOPP",
            "ABMELDEN",
            "BAJA",
            "PARAR",
            "SAIR",
            "CANCELAR SUSCRIPCIÓN",
            "ANNULLA ISCRIZIONE",
        ],
    ),
    (
        Keyword::Start,
        &["START", "UNSTOP", "SUBSCRIBE", "OPT IN", "REPRENDRE", "ANMELDEN", "ALTA", "INICIAR", "VOLTAR"],
    ),
];

impl Keyword {
    /// The keyword that a message is, after its ends are trimmed and without regard to case; a full stop or exclamation
    /// mark at its end does not matter.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let word = text.trim().trim_end_matches(['.', '!']).trim_end().to_uppercase();
        WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(keyword, _)| *keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_the_whole_message() {
        for (text, keyword) in [
            ("STOP", Some(Keyword::Stop)),
            ("  stop\n", Some(Keyword::Stop)),
            ("Stop.", Some(Keyword::Stop)),
            ("arrêt", Some(Keyword::Stop)),
            ("Unsubscribe!", Some(Keyword::Stop)),
            ("start", Some(Keyword::Start)),
            ("UnStop", Some(Keyword::Start)),
            ("please don't stop", None),
            ("stop it", None),
            ("stopped", None),
            ("", None),
        ] {
            assert_eq!(Keyword::of(text), keyword, "{text:?}");
        }
    }
}
