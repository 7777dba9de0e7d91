//! Somebody says that they have seen a message: by the link in it, whose signature is the proof, or in the feed. Looking at
//! a link changes nothing, because virus scanners and previews look too; posting to it stops the escalation.

use carillon_domain::acknowledge::AcknowledgeToken;
use carillon_domain::{DeliveryId, Problem};
use carillon_pipeline::Pipeline;
use carillon_pipeline::acknowledge::AcknowledgedBy;
use carillon_runtime::http::{Answer, Request};

use crate::feed;
use crate::page::{self, escaped};

/// What a page says, in one language.
struct Words {
    locale: &'static str,
    title: &'static str,
    /// The tenant's name takes the place of `{from}`.
    question: &'static str,
    button: &'static str,
    done_title: &'static str,
    done: &'static str,
}

/// The languages of the pages; the first is for everybody else.
const WORDS: &[Words] = &[
    Words {
        locale: "en",
        title: "Acknowledge",
        question: "Have you seen the message from {from}? Then nobody else has to be told.",
        button: "I have seen it",
        done_title: "Thank you",
        done: "The message from {from} is acknowledged.",
    },
    Words {
        locale: "fr",
        title: "Confirmer la lecture",
        question: "Avez-vous vu le message de {from}\u{a0}? Alors personne d'autre ne sera prévenu.",
        button: "Je l'ai vu",
        done_title: "Merci",
        done: "La lecture du message de {from} est confirmée.",
    },
    Words {
        locale: "pt",
        title: "Confirmar a leitura",
        question: "Viu a mensagem de {from}? Então mais ninguém será avisado.",
        button: "Já vi",
        done_title: "Obrigado",
        done: "A leitura da mensagem de {from} está confirmada.",
    },
];

/// The words in a reader's language, as far as there are any.
fn words(locale: &str) -> &'static Words {
    let language = locale.split(['-', '_']).next().unwrap_or_default();
    WORDS.iter().find(|words| words.locale.eq_ignore_ascii_case(language)).unwrap_or(&WORDS[0])
}

/// What a link stands for, whose message it is about, and the words for its reader; none for a link that nobody here has
/// made.
async fn read(
    pipeline: &Pipeline,
    request: &Request,
) -> Result<Option<(AcknowledgeToken, String, &'static Words)>, Problem> {
    let text: String = request.part("token")?;
    let Some(token) = pipeline.read_acknowledge_token(&text) else { return Ok(None) };
    let Some(tenant) = pipeline.tenant(&token.tenant).await? else { return Ok(None) };
    let reader = pipeline.recipient_by_key(&token.tenant, &token.recipient).await?;
    let locale = reader.and_then(|reader| reader.recipient.locale);
    Ok(Some((token, tenant.name.clone(), words(locale.as_deref().unwrap_or(&tenant.locale)))))
}

fn said(text: &str, from: &str) -> String {
    text.replace("{from}", &format!("<strong>{}</strong>", escaped(from)))
}

pub(crate) async fn ask(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let Some((_, from, words)) = read(pipeline, request).await? else {
        return Ok(Answer::page(404, &page::unknown()));
    };
    let form = format!("<form method=\"post\"><button>{}</button></form>", words.button);
    let body = format!("<p>{}</p>{form}", said(words.question, &from));
    Ok(Answer::page(200, &page::framed(words.locale, words.title, &body)))
}

pub(crate) async fn acknowledge(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let Some((token, from, words)) = read(pipeline, request).await? else {
        return Ok(Answer::page(404, &page::unknown()));
    };
    if !pipeline.acknowledge_by_link(&token).await? {
        return Ok(Answer::page(404, &page::unknown()));
    }
    let body = format!("<p>{}</p>", said(words.done, &from));
    Ok(Answer::page(200, &page::framed(words.locale, words.done_title, &body)))
}

/// In the feed: for the recipient of an item, and for nobody else's.
pub(crate) async fn acknowledge_item(pipeline: &Pipeline, request: &Request) -> Result<Answer, Problem> {
    let ((tenant, recipient), id) =
        (feed::known(pipeline, request).await?, request.part::<DeliveryId>("delivery")?);
    let missing = || Problem::not_found("item", &id);
    if *id.recipient() != recipient {
        return Err(missing());
    }
    let worked = pipeline.acknowledge_delivery(&tenant, &id, AcknowledgedBy::Inbox).await?;
    worked.map(Answer::worked).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_a_language_without_words_reads_english() {
        for (locale, chosen) in [("fr-FR", "fr"), ("PT_br", "pt"), ("en", "en"), ("de", "en"), ("", "en")] {
            assert_eq!(words(locale).locale, chosen, "{locale}");
        }
    }
}
