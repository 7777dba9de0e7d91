//! A clock that is moved by hand, and who counts as being at work while somebody sleeps on it.

use std::time::Duration;

use carillon_pipeline::ports::Queue;

use super::activity::Activity;
use super::*;

const START: &str = "2026-11-20T09:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn later(seconds: u64) -> Timestamp {
    start() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_sleeper_wakes_when_its_instant_is_reached_and_not_before() {
    let clock = VirtualClock::at(start());
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep(Duration::from_secs(5)).await }
    });
    while clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(clock.next_wake(), Some(later(5)));
    clock.move_to(later(4));
    assert_eq!(clock.next_wake(), Some(later(5)));
    clock.move_to(later(5));
    sleeper.await.unwrap();
    assert_eq!((clock.now(), clock.next_wake()), (later(5), None));
    clock.move_to(later(1));
    assert_eq!(clock.now(), later(5), "it never goes back");
}

#[tokio::test]
async fn work_that_sleeps_is_not_at_work_until_its_time_has_come() {
    let (clock, activity) = (VirtualClock::at(start()), Arc::<Activity>::default());
    activity.limit(Queue::Email, 1);
    let work = activity.begin(Some(Queue::Email));
    assert_eq!((activity.rest(), activity.is_blocked(Queue::Email)), (None, false));
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { work.run(clock.sleep(Duration::from_secs(1))).await }
    });
    while activity.rest().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(activity.is_blocked(Queue::Email) && !activity.is_blocked(Queue::Whatsapp));
    let turn = activity.rest();
    clock.move_to(later(1));
    assert_eq!(activity.rest(), None, "awake before it runs");
    sleeper.await.unwrap();
    assert!(activity.rest() > turn && !activity.is_blocked(Queue::Email));
}

#[tokio::test]
async fn work_that_is_given_up_in_its_sleep_leaves_nothing_behind() {
    let (clock, activity) = (VirtualClock::at(start()), Arc::<Activity>::default());
    let work = activity.begin(None);
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { work.run(clock.sleep(Duration::from_secs(1))).await }
    });
    while activity.rest().is_none() {
        tokio::task::yield_now().await;
    }
    sleeper.abort();
    assert!(sleeper.await.unwrap_err().is_cancelled());
    assert_eq!(clock.next_wake(), None);
    assert!(activity.rest().is_some());
}

#[tokio::test]
async fn nobody_sleeps_when_the_cloud_stops() {
    let clock = VirtualClock::at(start());
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep(Duration::from_secs(5)).await }
    });
    while clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    clock.stop();
    sleeper.await.unwrap();
    clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(clock.now(), start());
}

#[test]
fn a_setting_is_read_as_it_is_written_on_the_command_line() {
    assert_eq!("real".parse(), Ok(ClockSetting::Real));
    assert_eq!("virtual".parse(), Ok(ClockSetting::Virtual { start: None }));
    assert_eq!(format!("virtual:{START}").parse(), Ok(ClockSetting::Virtual { start: Some(start()) }));
    for wrong in ["", "virtual:", "virtual:noon", "real:2026-11-20T09:00:00Z"] {
        assert!(wrong.parse::<ClockSetting>().is_err(), "{wrong}");
    }
}
