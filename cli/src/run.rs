//! From a parsed command line to the command: makes the client with the key that the command needs.

use carillon_pipeline::ports::Clock as _;
use carillon_runtime::SystemClock;

use crate::arguments::{Apply, Arguments, Command, Connection};
use crate::client::Client;
use crate::outcome::{Done, Failure};
use crate::{
    apply, bootstrap, cleanup, dead_letters, demo, dev, explain, forecast, groups, health, keys, log, pack,
    prove, readiness, recipients, retry, schedules, send, stats, switch, templates, test_templates,
};

/// Runs the command.
///
/// # Errors
/// When it could not do its work.
pub async fn run(arguments: Arguments) -> Result<Done, Failure> {
    let Arguments { connection, json, command } = arguments;
    match command {
        Command::Dev(dev) => dev::dev(dev, json).await,
        Command::Demo(demo) => demo::demo(demo, json).await,
        Command::Apply(apply) => applied(&connection, &apply).await,
        Command::Send(send) => send::send(&keyed(&connection)?, &send).await,
        Command::Recent => log::recent(&keyed(&connection)?).await,
        Command::Deliveries(filters) => log::deliveries(&keyed(&connection)?, &filters).await,
        Command::DeadLetters(wanted) => dead_letters::dead_letters(&keyed(&connection)?, &wanted).await,
        Command::Retry(wanted) => retry::retry(&keyed(&connection)?, &wanted).await,
        Command::Stats(wanted) => stats::stats(&keyed(&connection)?, &wanted).await,
        Command::Prove(wanted) => prove::prove(&keyed(&connection)?, &wanted, SystemClock.now()).await,
        Command::Explain(wanted) => explain::explain(&keyed(&connection)?, &wanted).await,
        Command::Groups(wanted) => groups::groups(&keyed(&connection)?, &wanted).await,
        Command::Templates(wanted) => templates::templates(&keyed(&connection)?, &wanted).await,
        Command::Recipients(wanted) => recipients::recipients(&keyed(&connection)?, &wanted).await,
        Command::Check(wanted) => readiness::check(&keyed(&connection)?, &wanted).await,
        Command::Ready(wanted) => readiness::ready(&keyed(&connection)?, &wanted).await,
        Command::Validate(wanted) => readiness::validate(&keyed(&connection)?, &wanted).await,
        Command::TestTemplates(wanted) => test_templates::test_templates(&keyed(&connection)?, &wanted).await,
        Command::Forecast(wanted) => forecast::forecast(&keyed(&connection)?, &wanted).await,
        Command::Schedules(wanted) => schedules::schedules(&keyed(&connection)?, &wanted).await,
        Command::Cleanup(wanted) => cleanup::cleanup(&keyed(&connection)?, &wanted).await,
        Command::Switch(wanted) => switch::switch(&keyed(&connection)?, &wanted).await,
        Command::Keys(keys) => keys::keys(&keyed(&connection)?, &keys).await,
        Command::Bootstrap(wanted) => bootstrap::run(wanted).await,
        Command::Health(wanted) => health::health(&connection, &wanted).await,
    }
}

async fn applied(connection: &Connection, arguments: &Apply) -> Result<Done, Failure> {
    let pack = pack::load(&pack::folder(&arguments.pack)?)?;
    let client = keyed(connection)?;
    let summary = apply::apply(&client, &pack, arguments.dry_run).await?;
    Ok(summary.done(&pack.name, client.url()))
}

fn keyed(connection: &Connection) -> Result<Client, Failure> {
    let key = connection.key.as_deref().filter(|key| !key.is_empty());
    let missing = || Failure::Usage("there is no API key: give --key or set CARILLON_API_KEY".to_owned());
    Client::new(&connection.url, Some(key.ok_or_else(missing)?))
}
