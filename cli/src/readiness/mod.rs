//! `carillon check`, `ready` and `validate`: whether a tenant's messages can go out, what is missing, and what puts it
//! right. [`setup`] reads everything, [`examine`] judges it, and each command prints that in its way.

mod cause;
mod check;
mod examine;
mod item;
mod mend;
mod reach;
mod ready;
mod schedules;
mod sending;
mod setup;
#[cfg(test)]
mod tests;
mod trial;
mod validate;

use clap::Args;

use crate::client::Client;
use crate::outcome::Failure;
use crate::pack::{self, Pack};

pub use check::{Check, check};
pub use ready::{Ready, ready};
use setup::Setup;
pub use validate::{Validate, validate};

/// Which packs must be there.
#[derive(Debug, Args)]
struct Required {
    /// Require what this pack has: a name, or a folder. May be repeated; without it, the packs in use.
    #[arg(long = "pack", value_name = "NAME|DIR")]
    packs: Vec<String>,
}

impl Required {
    /// The packs that are named, else those that the tenant has something of.
    fn packs(&self, setup: &Setup) -> Result<Vec<Pack>, Failure> {
        if self.packs.is_empty() { Ok(setup.in_use(pack::known())) } else { pack::chosen(&self.packs) }
    }
}

/// Reads the setup and judges it, the cloud first.
async fn examined(client: &Client, required: &Required) -> Result<Vec<item::Item>, Failure> {
    let setup = Setup::read(client).await?;
    let packs = required.packs(&setup)?;
    let mut items = vec![examine::cloud(&setup)];
    items.extend(examine::examine(&setup, &packs));
    Ok(items)
}
