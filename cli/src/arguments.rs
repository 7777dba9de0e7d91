//! The command line: what can be asked for and how. Parsed by clap; a wrong one ends with exit code 2.

use std::net::SocketAddr;
use std::path::PathBuf;

use carillon_domain::{Channel, StateKind};
use carillon_local::clock::ClockSetting;
use carillon_local::cloud::Pace;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Where `carillon dev` listens, and where the other commands look for a cloud.
const DEV_ADDRESS: &str = "127.0.0.1:8787";

/// The notification service that can prove what it did.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, about)]
pub struct Arguments {
    /// The cloud to talk to.
    #[command(flatten)]
    pub connection: Connection,

    /// Print one JSON document on standard output instead of text.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The cloud to talk to.
#[derive(Debug, Args)]
pub struct Connection {
    /// The cloud's address.
    #[arg(long, global = true, env = "CARILLON_URL", default_value_t = format!("http://{DEV_ADDRESS}"))]
    pub url: String,

    /// The API key; better in the environment, where other users of the machine cannot see it.
    #[arg(long, global = true, env = "CARILLON_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole cloud in this process: no account, no Docker
    Dev(Dev),
    /// Play every pack's samples in a cloud of their own and show who was told what
    Demo(Demo),
    /// Put a pack's groups, templates and routes into a tenant
    Apply(Apply),
    /// Post an event by hand
    Send(Send),
    /// The last 10 deliveries
    Recent,
    /// The log of deliveries; the filters combine
    Deliveries(DeliveryFilters),
    /// Messages that no worker could work; with --redrive they are put back to work
    DeadLetters(crate::dead_letters::DeadLetters),
    /// Send ended deliveries again: one, or those of a filter
    Retry(crate::retry::Retry),
    /// Show how many messages were sent, how they fared, and what they cost
    Stats(crate::stats::Stats),
    /// Compare what was accepted with what became of it
    Prove(crate::prove::Prove),
    /// Every decision about an event: who was told, on which channel, and why not
    Explain(crate::explain::Explain),
    /// Make groups and put people into them
    Groups(crate::groups::Groups),
    /// Load the templates of packs
    Templates(crate::templates::Templates),
    /// Import people, and normalise their phone numbers
    Recipients(crate::recipients::Recipients),
    /// What is configured and what is missing, at a glance
    Check(crate::readiness::Check),
    /// Whether messages can go out: a line for each thing that must be in order
    Ready(crate::readiness::Ready),
    /// Validate the whole setup; repair it and send test messages when asked
    Validate(crate::readiness::Validate),
    /// Show what every template of the packs says, filled from their samples; send them to somebody with --to
    TestTemplates(crate::test_templates::TestTemplates),
    /// Show who will be told what over the coming days, or what a pack would change
    Forecast(crate::forecast::Forecast),
    /// Show what runs by the clock, when it ran and when it runs next; run a sweep now
    Schedules(crate::schedules::Schedules),
    /// Remove what is older than the tenant keeps it, or say how much that is
    Cleanup(crate::cleanup::Cleanup),
    /// Show what is stopped; stop sending at once, or let it go again
    Switch(crate::switch::Switch),
    /// List, make and delete the keys of a tenant
    Keys(crate::keys::Keys),
    /// Whether the cloud answers; with a key, what is wrong with the tenant
    Health(crate::health::Health),
    /// Make the first tenant, its keys and the secrets of a deployed stack, with your AWS credentials
    Bootstrap(crate::bootstrap::Bootstrap),
}

/// `carillon dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value = DEV_ADDRESS)]
    pub listen: SocketAddr,

    /// Where everything is kept; it survives a kill and is there again at the next start.
    #[arg(long, value_name = "DIR", default_value = ".carillon", conflicts_with = "ephemeral")]
    pub data: PathBuf,

    /// Keep nothing.
    #[arg(long)]
    pub ephemeral: bool,

    /// Apply a pack first: a name, or a folder. May be repeated.
    #[arg(long = "pack", value_name = "NAME|DIR")]
    pub packs: Vec<String>,

    /// Put the packs' invented people in as well.
    #[arg(long, requires = "packs")]
    pub samples: bool,

    /// Another Graph API than the built-in fake.
    #[arg(long, value_name = "URL")]
    pub whatsapp_url: Option<String>,

    /// Another SES than the built-in fake.
    #[arg(long, value_name = "URL")]
    pub ses_url: Option<String>,

    /// The machine's time, or one that stands still until `POST /dev/clock` moves it.
    #[arg(long, value_name = "real|virtual[:START]", default_value = "real")]
    pub clock: ClockSetting,

    /// Send as fast as possible, or no faster than Meta and SES allow.
    #[arg(long, value_name = "off|meta", default_value = "off")]
    pub pace: Pace,

    /// Write addresses and keys here when ready, as JSON.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    /// What happens inside.
    #[command(flatten)]
    pub logging: Logging,
}

/// `carillon demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Play this pack only: a name, or a folder. May be repeated.
    #[arg(long = "pack", value_name = "NAME|DIR")]
    pub packs: Vec<String>,

    /// Leave the cloud running afterwards, to look around in it.
    #[arg(long)]
    pub keep: bool,

    /// What happens inside.
    #[command(flatten)]
    pub logging: Logging,
}

/// Logs on standard error.
#[derive(Debug, Args)]
pub struct Logging {
    /// What to log on standard error: error, warn, info, debug, or a filter such as warn,carillon_pipeline=debug.
    #[arg(long = "log", value_name = "LEVEL", default_value = "warn", value_parser = log_filter)]
    pub filter: String,
}

/// `carillon apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The pack: a name, or a folder.
    #[arg(value_name = "DIR|NAME")]
    pub pack: String,

    /// Only say what would change.
    #[arg(long)]
    pub dry_run: bool,
}

/// `carillon send`.
#[derive(Debug, Args)]
pub struct Send {
    /// The event's type.
    #[arg(value_name = "TYPE")]
    pub event_type: String,

    /// What templates are filled from.
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,

    /// What the event is about.
    #[arg(long)]
    pub subject: Option<String>,

    /// Tell this recipient, beside the route's audience. May be repeated.
    #[arg(long, value_name = "ID")]
    pub to: Vec<String>,

    /// Tell this group, beside the route's audience. May be repeated.
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,

    /// Tell only those named with --to and --group.
    #[arg(long)]
    pub only: bool,

    /// Send this template; needs no route.
    #[arg(long, value_name = "NAME", requires = "channels")]
    pub template: Option<String>,

    /// Send the template on this channel. May be repeated.
    #[arg(long = "channel", value_name = "CHANNEL", requires = "template", value_parser = channels())]
    pub channels: Vec<String>,

    /// Send this text by WhatsApp, as it is, to those named with --to and --group, and follow it. WhatsApp takes free text
    /// only within 24 hours after the recipient wrote to the number: otherwise the result says window_closed, and the text
    /// leaves when they write.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["data", "template"])]
    pub raw_text: Option<String>,

    /// Send nothing; show who would be told what.
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,

    /// Follow the event until it is settled and list its deliveries; exit code 1 if one of them failed.
    #[arg(long)]
    pub wait: bool,
}

/// `carillon deliveries`.
#[derive(Debug, Args)]
pub struct DeliveryFilters {
    /// In this state.
    #[arg(long, value_parser = states())]
    pub state: Option<String>,

    /// On this channel.
    #[arg(long, value_parser = channels())]
    pub channel: Option<String>,

    /// To this recipient.
    #[arg(long, value_name = "ID")]
    pub recipient: Option<String>,

    /// Of this type of event.
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,

    /// About this subject.
    #[arg(long)]
    pub subject: Option<String>,

    /// From this instant on, such as 2026-11-20T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Before this instant.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,

    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

fn channels() -> PossibleValuesParser {
    Channel::ALL.map(Channel::as_str).into()
}

fn states() -> PossibleValuesParser {
    StateKind::ALL.map(StateKind::as_str).into()
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "carillon",
            "carillon dev --data d --ephemeral",
            "carillon dev --samples",
            "carillon dev --listen 8787",
            "carillon dev --log loudly=yes",
            "carillon dev --clock virtual:noon",
            "carillon dev --pace fast",
            "carillon send t --channel email",
            "carillon send t --template t",
            "carillon send t --template t --channel sms",
            "carillon send t --wait --dry-run",
            "carillon send t --to a --raw-text hi --template t --channel whatsapp",
            "carillon send t --to a --raw-text hi --data {}",
            "carillon deliveries --state gone",
            "carillon apply",
            "carillon explain",
            "carillon groups create Sales --pack shop",
            "carillon groups add Sales",
            "carillon templates",
            "carillon recipients import",
            "carillon validate --admin-email ada@example.com",
            "carillon keys",
            "carillon keys create shop",
            "carillon keys create shop --scope everything",
            "carillon keys delete",
            "carillon dead-letters --dry-run",
            "carillon dead-letters --queue letters",
            "carillon dead-letters --id x",
            "carillon forecast --days 0",
            "carillon schedules --run sweep-everything",
            "carillon switch --stop --go",
            "carillon switch --go --mode drop",
            "carillon switch --stop --scope channel",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    /// I18: each part of the program has a level of its own.
    #[test]
    fn the_level_of_a_log_is_set_for_each_part() {
        let line = "carillon dev --log warn,carillon_pipeline=debug";
        let Command::Dev(dev) = Arguments::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
        let filter = EnvFilter::builder().parse(&dev.logging.filter).unwrap();
        assert_eq!(filter.max_level_hint(), Some(tracing_subscriber::filter::LevelFilter::DEBUG));
    }

    #[test]
    fn options_of_the_connection_may_stand_anywhere() {
        let line = "carillon recent --url http://127.0.0.1:1 --key k --json";
        let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
        assert_eq!((parsed.connection.url.as_str(), parsed.json), ("http://127.0.0.1:1", true));
    }
}
