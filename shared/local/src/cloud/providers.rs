//! The providers of a cloud: the built-in fakes, each on an address of its own as the real ones have, or others by URL;
//! and the dev endpoints that make the fakes fail or speak. [`super`] hands them to the deliver functions.

use std::sync::Arc;
use std::time::Duration;

use carillon_channels::{SesProvider, WhatsappProvider, email};
use carillon_pipeline::bootstrap::WHATSAPP_APP_SECRET;
use carillon_pipeline::ports::{Provider, Queue};

use super::{Cloud, Doing, StartError, World, http};
use crate::fakes::faults::endpoint::{self as faults, Switches};
use crate::fakes::faults::line::Line;
use crate::fakes::faults::{Switch, Troubles};
use crate::fakes::graph::inbound;
use crate::fakes::{Delays, EventSink, FakeGraph, FakeSes, GraphSettings, ses_events};

/// The providers, and the dev endpoints about them.
pub(super) struct Providers {
    pub(super) whatsapp: Arc<dyn Provider>,
    pub(super) email: Arc<dyn Provider>,
    pub(super) dev: axum::Router,
}

impl Cloud {
    /// The providers at these URLs, or the fakes where there is none.
    pub(super) async fn providers(
        &mut self,
        world: &World,
        whatsapp_url: Option<String>,
        ses_url: Option<String>,
    ) -> Result<Providers, StartError> {
        let sink = self.event_sink();
        let mut dev = axum::Router::new();
        let (whatsapp_url, whatsapp) = if let Some(url) = whatsapp_url {
            (url, None)
        } else {
            let fake = self.fake_graph(world).await?;
            dev = dev.merge(inbound::routes(Arc::clone(&fake), self.ready.phone_number_id.clone()));
            let (url, switch) = self.stand_in(world, fake.router(), fake.troubles())?;
            (url, Some(switch))
        };
        let (ses_url, email) = match ses_url {
            Some(url) => (url, None),
            None => self.fake_ses(world, sink.clone()).map(|(url, switch)| (url, Some(switch)))?,
        };
        let config = carillon_aws::clients::at_endpoint(&ses_url);
        let switches = Switches { whatsapp, email, entropy: world.entropy.clone() };
        Ok(Providers {
            whatsapp: Arc::new(WhatsappProvider::new(world.client.clone(), whatsapp_url)),
            email: Arc::new(
                SesProvider::new(email::provider::ses_client(&config, Some(&ses_url)))
                    .linking_to(Some(self.ready.url.clone())),
            ),
            dev: dev.merge(faults::routes(switches)).merge(ses_events::routes(sink)),
        })
    }

    async fn fake_graph(&mut self, world: &World) -> Result<Arc<FakeGraph>, StartError> {
        let secret = self.pipeline.secrets.get(WHATSAPP_APP_SECRET).await.doing("reading the app secret")?;
        let settings = GraphSettings {
            webhook_url: format!("{}/webhooks/whatsapp", self.ready.url),
            app_secret: secret.into_iter().next().unwrap_or_default(),
            waba_id: "100000000000001".to_owned(),
            display_phone_number: "12025550100".to_owned(),
            delays: self.delays(),
        };
        let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
        let fake = FakeGraph::new(world.journal.clone(), clock, entropy, world.client.clone(), settings);
        self.tasks.spawn(Arc::clone(&fake).post_receipts(world.stopping.clone()));
        Ok(fake)
    }

    fn fake_ses(&mut self, world: &World, sink: EventSink) -> Result<(String, Arc<Switch>), StartError> {
        let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
        let fake = FakeSes::new(world.journal.clone(), clock, entropy, sink, self.delays());
        self.tasks.spawn(Arc::clone(&fake).post_receipts(world.stopping.clone()));
        self.stand_in(world, fake.router(), fake.troubles())
    }

    /// EventBridge puts the event on the receipts queue as it is.
    fn event_sink(&self) -> EventSink {
        let queues = Arc::clone(&self.queues);
        Arc::new(move |event| {
            let queues = Arc::clone(&queues);
            Box::pin(async move {
                let sent = queues.send_raw(Queue::Receipts, event.to_string()).await;
                sent.map_err(|error| error.to_string())
            })
        })
    }

    /// When the fakes react. On a clock that stands still they do so at once: work due now runs by itself.
    fn delays(&self) -> Delays {
        match self.hand {
            Some(_) => Delays { sent: Duration::ZERO, delivered: Duration::ZERO },
            None => Delays::default(),
        }
    }

    /// Serves a fake provider on an address of its own, with whatever is to go wrong there.
    fn stand_in(
        &mut self,
        world: &World,
        router: axum::Router,
        troubles: Troubles,
    ) -> Result<(String, Arc<Switch>), StartError> {
        let switch = Arc::clone(&troubles.switch);
        let line = Line::open(Arc::clone(&switch)).doing("listening for a fake provider")?;
        let url = format!("http://{}", line.address());
        self.tasks.spawn(http::serve_on(line, troubles.around(router), world.stopping.clone()));
        Ok((url, switch))
    }
}
