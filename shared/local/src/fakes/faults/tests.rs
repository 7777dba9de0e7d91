//! Connections that break on demand, as a caller sees them, and dice that fall the same way for the same seed.

use axum::routing::post;
use axum::{Router, serve};

use super::line::Line;
use super::*;
use crate::testing::client;

/// A provider on a line that takes everything; answers its URL, and how many calls it accepted.
fn provider(switch: &Arc<Switch>) -> (String, Arc<AtomicUsize>) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let take = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "taken" }
    };
    let troubles = Troubles { switch: Arc::clone(switch), refusing: |code| code.to_string().into_response() };
    let router = troubles.around(Router::new().route("/send", post(take)));
    let line = Line::open(Arc::clone(switch)).unwrap();
    let url = format!("http://{}/send", line.address());
    let service = router.into_make_service_with_connect_info::<Cut>();
    tokio::spawn(async move { serve(line, service).await });
    (url, accepted)
}

fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

#[tokio::test]
async fn a_call_is_lost_before_or_after_it_was_accepted_and_the_next_one_gets_through() {
    let (switch, client) = (Arc::<Switch>::default(), client());
    let (url, accepted) = provider(&switch);
    let count = || accepted.load(Ordering::SeqCst);
    assert_eq!(client.post(&url).send().await.unwrap().text().await.unwrap(), "taken");
    for (lost, counted) in
        [(faults(|f| f.lose_request = Rate(1.0)), 1), (faults(|f| f.lose_answer = Rate(1.0)), 2)]
    {
        switch.set(lost, 0).await;
        let error = client.post(&url).send().await.unwrap_err();
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
        assert_eq!(count(), counted);
    }
    switch.set(Faults::default(), 0).await;
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
    assert_eq!(count(), 3);
}

#[tokio::test]
async fn a_provider_that_is_down_refuses_connections_and_keeps_its_address() {
    let (switch, client) = (Arc::<Switch>::default(), client());
    let (url, accepted) = provider(&switch);
    for round in 1..=3 {
        assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
        assert_eq!(accepted.load(Ordering::SeqCst), round);
        switch.set(faults(|f| f.down = true), 0).await;
        assert_eq!(switch.open.load(Ordering::SeqCst), 0);
        // A client of its own: the other may not have noticed yet that its connection is gone.
        let error = crate::testing::client().post(&url).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        switch.set(Faults::default(), 0).await;
    }
}

#[test]
fn dice_fall_as_often_as_the_rate_says_and_the_same_way_for_a_seed() {
    let mut state = 42;
    let hits = (0..10_000).filter(|_| part(&mut state) < 0.05).count();
    assert!((400..600).contains(&hits), "{hits}");
    let throws = |seed: u64| {
        let switch = Switch::default();
        *switch.dice.lock().unwrap() = seed;
        let half = faults(|f| (f.lose_request, f.lose_answer) = (Rate(0.5), Rate(0.5)));
        (0..20).map(|_| format!("{:?}", switch.fate(&half))).collect::<Vec<_>>()
    };
    assert_eq!(throws(1), throws(1));
    assert_ne!(throws(1), throws(2));
    let mut state = 0;
    assert!((0..1_000).all(|_| (0.0..1.0).contains(&part(&mut state))));
}
